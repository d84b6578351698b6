"""The examples of the document. The requests work on a new store, and the responses are those of a new store.

Influencer, project and pictures are those of the seed. A job, a key and an upload are not in it, they are made up.
"""

from typing import Any

ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
SPRING = "proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG"
JOB = "job_01HXZF2A4C6E8G0J2M4P6R8T0V"
KEY = "3b1f6a52-0c7e-4d39-8f2a-5e9d7c1b4a60"
UPLOAD = "upl_01HXZFB3D5F7H9K1N3Q5S7V9X1"
PICTURES = ["asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0"]
PICTURE_MARK = "Xq3v9Lr0TzW5bN2mK7cYdA"  # makes the URL of the first picture unguessable

_NEW = "inf_01HXZF2A4BKQ3M5P7R9T1V3X5Z"
_ASSET = "asset_01HXZFB3D5G7J9M1P3R5T7V9X1"
_PIXEL = "R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
_PIXEL_HASH = "4e0705327480ad2323cb03d9c450ffcae4a98bf3a5382fa0c7882145ed620e49"
_MEDIA = f"http://127.0.0.1:8000/media/{ORGANIZATION}"

Example = Any

# Requests by title


PATCH_INFLUENCER: Example = {
    "one trait": {"vibe": "precise and energetic", "personality": {"humor": "observational"}},
    "clearing": {"hairStyle": None, "personality": {"speakingStyle": None}},
}
DELETE_INFLUENCER: Example = {"with a reason": {"reason": "Partner requested deletion."}, "without": {}}
ATTACH: Example = {"two pictures": {"assetIds": PICTURES}}
CREATE_INFLUENCER: Example = {
    "described": {
        "name": "Rui Teles",
        "gender": "male",
        "ageRange": "35-44",
        "vibe": "sleepy harbor",
        "personality": {"traits": ["gentle"], "tone": "low"},
        "referenceImages": {"assetIds": PICTURES[:1]},
    },
    "with an id of one's own": {"name": "Noa", "influencerId": "0c9a4e52-6d0b-4c5e-9a53-2f8b1f6e7a10"},
}
CLONE_INFLUENCER: Example = {
    "with overrides": {"name": "Ava by night", "overrides": {"vibe": "neon", "personality": {"tone": "hushed"}}}
}
CREATE_PROJECT: Example = {
    "least": {"name": "Autumn", "timezone": "Europe/Lisbon"},
    "with an id of one's own": {
        "id": "autumn-launch",
        "name": "Autumn launch",
        "timezone": "America/New_York",
        "customerExternalId": "customer-007",
        "ownerEmail": "maya@northwind.example",
        "primaryLanguage": "en",
        "metadata": {"tier": "gold"},
    },
}
PATCH_PROJECT: Example = {"another owner": {"ownerEmail": "noor@northwind.example", "metadata": {"tier": "silver"}}}
PRESIGN: Example = {
    "a picture": {"kind": "reference_image", "mimeType": "image/png", "filename": "dusk.png", "sizeBytes": 4096},
    "a video": {"kind": "video", "mimeType": "video/mp4"},
}
FINALIZE: Example = {"the upload": {"uploadId": UPLOAD}}
INLINE: Example = {"a pixel": {"kind": "image", "mimeType": "image/gif", "filename": "pixel.gif", "dataBase64": _PIXEL}}
NOTHING: Example = {"nothing": {}}

# Replies


WHO_AM_I: Example = {
    "organizationId": ORGANIZATION,
    "workspaceId": ORGANIZATION,
    "organizationName": "Northwind Studio",
    "scopes": ["*"],
    "rateLimitTier": "standard",
    "killSwitch": False,
    "apiAccessRevoked": False,
    "apiKeyId": KEY,
    "creditBalance": 25000,
}
REFERENCE_IMAGE: Example = {
    "assetId": PICTURES[0],
    "url": f"{_MEDIA}/{PICTURES[0]}/{PICTURE_MARK}/original/ava-01.jpg",
    "thumbnailUrl": f"{_MEDIA}/{PICTURES[0]}/{PICTURE_MARK}/thumbnail/ava-01-thumb.webp",
    "addedAt": "2026-04-18T09:25:10Z",
}
INFLUENCER: Example = {
    "influencerId": AVA,
    "projectId": SPRING,
    "name": "Ava Chen",
    "gender": "female",
    "ageRange": "25-34",
    "ethnicity": "East Asian",
    "bodyType": "athletic",
    "hairColor": "black",
    "hairStyle": "long, straight, curtain bangs",
    "style": "minimal streetwear",
    "vibe": "precise and energetic",
    "voiceDescription": "Warm alto, unhurried, a smile in it.",
    "personality": {
        "traits": ["curious", "warm", "direct"],
        "values": ["craft", "honesty"],
        "interests": ["ceramics", "night runs"],
        "tone": "friendly",
        "speakingStyle": "short sentences",
        "humor": "observational",
    },
    "referenceImages": [REFERENCE_IMAGE],
    "status": "ready",
    "createdAt": "2026-04-01T14:22:10Z",
    "updatedAt": "2026-04-18T09:25:10Z",
}
INFLUENCER_PAGE: Example = {
    "items": [
        {
            "influencerId": AVA,
            "name": "Ava Chen",
            "gender": "female",
            "ageRange": "25-34",
            "status": "ready",
            "thumbnailUrl": REFERENCE_IMAGE["thumbnailUrl"],
            "createdAt": "2026-04-01T14:22:10Z",
        }
    ],
    "nextCursor": None,
}
INFLUENCER_DELETED: Example = {"influencerId": AVA, "status": "deleted", "deletedAt": "2026-04-18T09:21:00Z"}
REFERENCE_IMAGES: Example = {"influencerId": AVA, "referenceImages": [REFERENCE_IMAGE]}
JOB_STARTED: Example = {
    "jobId": JOB,
    "kind": "influencer_create",
    "status": "running",
    "stage": "queued",
    "projectId": SPRING,
    "influencerId": _NEW,
    "locationUrl": f"/v1/jobs/{JOB}",
    "startedAt": "2026-04-18T09:30:00.000Z",
}
JOB_COMPLETED: Example = JOB_STARTED | {
    "status": "completed",
    "stage": "finalizing",
    "progress": 1,
    "finishedAt": "2026-04-18T09:30:02.000Z",
    "result": {"influencerId": _NEW},
}
CANCEL_ACCEPTED: Example = {"jobId": JOB, "accepted": True}
CANCEL_TOO_LATE: Example = {"jobId": JOB, "accepted": False, "reason": "ALREADY_COMPLETED"}
PROJECT_ITEM: Example = {
    "id": SPRING,
    "name": "Spring launch",
    "status": "active",
    "customerExternalId": "customer-001",
    "timezone": "America/Los_Angeles",
    "primaryLanguage": "en",
    "ownerEmail": "maya@northwind.example",
    "createdAt": "2026-03-02T08:05:00Z",
    "updatedAt": "2026-03-02T08:05:00Z",
}
PROJECT: Example = PROJECT_ITEM | {
    "organizationId": ORGANIZATION,
    "brand": None,
    "brandContext": None,
    "ingestState": {"github": None, "website": None, "appstore": None},
    "requiresApproval": False,
    "firstNPostsBlocked": 0,
    "currentBlockedCount": 0,
    "metadata": {"tier": "gold"},
}
PROJECT_PAGE: Example = {"items": [PROJECT_ITEM], "nextCursor": None}
PROJECT_ARCHIVED: Example = {
    "id": SPRING,
    "status": "archived",
    "archivedAt": "2026-04-18T09:40:00Z",
    "canceledScheduledPosts": 0,
}
UPLOAD_PROMISE: Example = {
    "uploadId": UPLOAD,
    "uploadUrl": "http://127.0.0.1:8000/v1/uploads/WyI2ZjFjMmY1ZSIsInVwbF8wMUhYWkZCM0Q1RjdIOUsiXQ.x3Tq0mYw",
    "method": "PUT",
    "headers": {"Content-Type": "image/png"},
    "expiresAt": "2026-04-18T10:00:00.000Z",
}
ASSET: Example = {
    "mediaId": _ASSET,
    "assetId": _ASSET,
    "projectId": SPRING,
    "url": f"{_MEDIA}/{_ASSET}/b5N2mK7cYdAXq3v9Lr0TzW/original/pixel.gif",
    "thumbnailUrl": f"{_MEDIA}/{_ASSET}/b5N2mK7cYdAXq3v9Lr0TzW/thumbnail/pixel-thumb.webp",
    "kind": "image",
    "contentType": "image/gif",
    "mimeType": "image/gif",
    "filename": "pixel.gif",
    "sizeBytes": 43,
    "checksumSha256": _PIXEL_HASH,
    "createdAt": "2026-04-18T09:45:00Z",
}
_API_KEY: Example = {
    "id": KEY,
    "organizationId": ORGANIZATION,
    "name": "Staging",
    "prefix": "lp_test_OQRH3ZRFWSQP5XMJ",
    "killSwitch": True,
    "isActive": False,
    "revokedAt": "2026-04-18T09:50:00.000Z",
}
KEY_KILLED: Example = {"apiKey": _API_KEY, "killed": True}
KEY_DELETED: Example = {"apiKey": _API_KEY, "deleted": True}
KEY_ROTATED: Example = {
    "apiKey": _API_KEY
    | {"killSwitch": False, "isActive": True, "revokedAt": None, "rotatedAt": "2026-04-18T09:50:00.000Z"},
    "secret": "lp_test_OQRH3ZRFWSQP5XMJ_I1BMYQ0O_Qe4s3Mp6VKYMt6j0yf1YDYnDNGq9GxUHOg",
}
