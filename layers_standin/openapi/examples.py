"""The ids in the examples of the document, and the examples of request bodies, which work on a new store.

Influencer, project and pictures are those of the seed. A job, a key and an upload are not in it, they are made up.
"""

from typing import Any

ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
SPRING = "proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG"
JOB = "job_01HXZF2A4C6E8G0J2M4P6R8T0V"
KEY = "3b1f6a52-0c7e-4d39-8f2a-5e9d7c1b4a60"
API_KEY = "lp_test_OQRH3ZRFWSQP5XMJ_I1BMYQ0O_Qe4s3Mp6VKYMt6j0yf1YDYnDNGq9GxUHOg"
UPLOAD = "upl_01HXZFB3D5F7H9K1N3Q5S7V9X1"
PICTURES = ["asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0"]
PICTURE_MARK = "Xq3v9Lr0TzW5bN2mK7cYdA"  # makes the URL of the first picture unguessable

NEW_INFLUENCER = "inf_01HXZF2A4BKQ3M5P7R9T1V3X5Z"
ASSET_ID = "asset_01HXZFB3D5G7J9M1P3R5T7V9X1"
_PIXEL = "R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
PIXEL_HASH = "4e0705327480ad2323cb03d9c450ffcae4a98bf3a5382fa0c7882145ed620e49"
MEDIA_URL = f"http://127.0.0.1:8000/media/{ORGANIZATION}"
CONTAINER = "cnt_01HXZF2A4C6E8G0J2M4P6R8T0V"
CONTENT_ASSET = "asset_01HXZF2A4C8E0G2J4M6P8R0T2V"
SNAPSHOT = "two-projects"
ACCOUNT = "sa_01HXZ9P2M4N5KCN6T7V8WXYZ9A"
APPROVED_CONTAINER = "cnt_01HXZF2A4E8G0J2M4P6R8T0V2X"
INSTAGRAM_ACCOUNT = "sa_01HXZ9QAM6P8R0S2T4V6W8X0Y2"
POST = "sp_01HXZN4K5M6P7QRS8TVV9WXYZA"
POST_MARK = "qT5rM8nV2wXk1Zc7Yb4LdQ"
AVATAR_MARK = "9f86d081884c7d659a2feaa0c55ad015"
STATE = "st_01HXZGN2Q4S6V8X0Z2B4D6F8H0"
INSTALLATION = 48192736
REPOSITORY = "northwind-studio/tide-clock"
ENDPOINT = "whe_01HXZGP3R5T7V9X1Z3B5D7F9H1"
DELIVERY = "whd_01HXZGQ4S6V8X0Z2B4D6F8H0K2"
EVENT = "evt_01HXZGQ4S6V8X0Z2B4D6F8H0J1"
FAULT = "fault_01HXZG1C3E5G7J9K1M3P5R7T9V"

# By the name of a parameter in a path: the noun for what it names, and an example.
PATH_IDS = {
    "influencerId": ("Influencer", AVA),
    "projectId": ("Project", SPRING),
    "jobId": ("Job", JOB),
    "keyId": ("API key", KEY),
    "containerId": ("Container", CONTAINER),
    "assetId": ("Asset", CONTENT_ASSET),
    "name": ("Snapshot", SNAPSHOT),
    "inbox": ("Inbox", "mine"),
    "webhookEndpointId": ("Webhook endpoint", ENDPOINT),
    "webhookDeliveryId": ("Webhook delivery", DELIVERY),
    "organizationId": ("Organization", ORGANIZATION),
    "faultId": ("Fault", FAULT),
    "socialAccountId": ("Social account", ACCOUNT),
    "state": ("OAuth state", STATE),
    "scheduledPostId": ("Scheduled post", POST),
}

# By the name of the body's schema, and by title.
REQUESTS: dict[str, dict[str, Any]] = {
    "InfluencerPatch": {
        "one trait": {"vibe": "precise and energetic", "personality": {"humor": "observational"}},
        "clearing": {"hairStyle": None, "personality": {"speakingStyle": None}},
    },
    "InfluencerDeletion": {"with a reason": {"reason": "Partner requested deletion."}, "without": {}},
    "EndpointCreate": {
        "to an inbox of the stand-in": {
            "url": "http://127.0.0.1:8000/_standin/inbox/mine",
            "events": ["job.completed", "post.published"],
        },
        "of one project": {
            "url": "http://localhost:9000/webhooks",
            "events": ["content.generated"],
            "description": "Editorial",
            "projectId": SPRING,
        },
    },
    "EndpointPatch": {"pausing": {"status": "paused"}, "other events": {"events": ["post.failed"]}},
    "TestEvent": {"with data of your own": {"payload": {"message": "hello"}}, "without": {}},
    "Flush": {"all": {}, "one organization": {"organizationId": ORGANIZATION, "timeoutMs": 5000}},
    "ReferenceImages": {"two pictures": {"assetIds": PICTURES}},
    "InfluencerCreate": {
        "described": {
            "name": "Rui Teles",
            "gender": "male",
            "ageRange": "35-44",
            "vibe": "sleepy harbor",
            "personality": {"traits": ["gentle"], "tone": "low"},
            "referenceImages": {"assetIds": PICTURES[:1]},
        },
        "with an id of one's own": {"name": "Noa", "influencerId": "0c9a4e52-6d0b-4c5e-9a53-2f8b1f6e7a10"},
    },
    "InfluencerClone": {
        "with overrides": {"name": "Ava by night", "overrides": {"vibe": "neon", "personality": {"tone": "hushed"}}}
    },
    "ProjectCreate": {
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
    },
    "ProjectPatch": {"another owner": {"ownerEmail": "noor@northwind.example", "metadata": {"tier": "silver"}}},
    "Presign": {
        "a picture": {"kind": "reference_image", "mimeType": "image/png", "filename": "dusk.png", "sizeBytes": 4096},
        "a video": {"kind": "video", "mimeType": "video/mp4"},
    },
    "Finalize": {"the upload": {"uploadId": UPLOAD}},
    "InlineMedia": {
        "a pixel": {"kind": "image", "mimeType": "image/gif", "filename": "pixel.gif", "dataBase64": _PIXEL}
    },
    "ContentGenerate": {
        "a video": {"brief": {"topic": "ceramics", "targetPlatforms": ["tiktok"]}},
        "a slideshow": {
            "format": "slideshow_remix",
            "brief": {
                "hook": "Why I run at night",
                "topic": "night runs",
                "valuePropositions": ["empty streets", "cool air"],
                "cta": "Come along",
                "themeTags": ["running"],
                "influencerId": AVA,
            },
        },
        "two variants": {"variantCount": 2, "brief": {"topic": "ceramics", "cta": "Try it"}},
        "with an id of one's own": {"id": "5a1c7c0e-8f0b-4c5e-9a53-2f8b1f6e7a10"},
    },
    "ContentRegenerate": {
        "another hook": {"brief": {"hook": "Nobody else is there"}},
        "another caption": {"preserveAssets": True},
    },
    "ContentApproval": {"without a word": {}, "with a note": {"note": "Lovely."}},
    "ContentRejection": {"with the reason": {"reason": "Off brand."}},
    "ApprovalPolicyPatch": {
        "the first three": {"firstNPostsBlocked": 3, "autoApproveAfter": "P1D"},
        "all": {"requiresApproval": True, "autoApproveAfter": None},
    },
    "ScheduleContent": {
        "on one account": {
            "scheduledFor": "2026-05-01T12:00:00Z",
            "targets": [{"socialAccountId": ACCOUNT, "mode": "direct_publish"}],
        },
        "on two, each in its own words": {
            "scheduledFor": "2026-05-01T14:00:00+02:00",
            "targets": [
                {"socialAccountId": ACCOUNT, "mode": "draft_to_device", "captionOverride": "To be finished by hand"},
                {
                    "socialAccountId": INSTAGRAM_ACCOUNT,
                    "mode": "reels",
                    "scheduledPostId": "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e",
                    "firstCommentOverride": "#night",
                },
            ],
        },
    },
    "PublishContent": {"on one account": {"targets": [{"socialAccountId": ACCOUNT, "mode": "direct_publish"}]}},
    "Reschedule": {"a week later": {"scheduledFor": "2030-05-08T12:00:00Z"}},
    "PostCancellation": {"with a reason": {"reason": "The shop is closed that day."}, "without": {}},
    "InstallationRegistration": {"sent back by the page": {"installationId": INSTALLATION, "state": STATE}},
    "GitHubIngest": {
        "with a pull request": {"repoFullName": REPOSITORY, "platforms": ["ios"], "prTitle": "Add the Layers SDK"},
        "a look only": {"repoFullName": REPOSITORY, "branch": "main", "openPR": False},
    },
    "WebsiteIngest": {
        "one page": {"url": "https://www.trail-notes.example/"},
        "more of them": {"url": "https://www.trail-notes.example/", "followLinks": True, "maxPages": 10},
    },
    "OauthUrl": {
        "back to this machine": {"platform": "tiktok", "returnUrl": "http://localhost:3000/connected"},
        "with a note": {
            "platform": "instagram",
            "returnUrl": "http://localhost:3000/connected?tab=social",
            "scopes": ["instagram_content_publish"],
            "usageNote": "To publish the posts of the spring.",
        },
    },
    "EmptyBody": {"nothing": {}},
    "Reset": {"to the seed": {"to": "seed"}, "to nothing": {"to": "empty"}, "as the service began": {}},
    "SnapshotCreate": {"named": {"name": SNAPSHOT}},
    "OrganizationCreate": {
        "for one test": {},
        "with a key for little": {"name": "Southwind", "scopes": ["projects:read"], "rateLimitTier": "pilot"},
    },
    "KeyCreate": {"for jobs": {"name": "Job watcher", "scopes": ["jobs:read", "jobs:cancel"]}, "for all": {}},
    "ClockSetting": {
        "frozen": {"mode": "frozen", "at": "2026-12-24T18:00:00Z"},
        "shifted": {"mode": "offset", "offset": "P1D"},
        "a quarter of an hour on": {"advance": "PT15M"},
        "for one organization": {"mode": "real", "organizationId": ORGANIZATION},
    },
    "FaultCreate": {
        "one too many": {
            "match": {"operation": "patchInfluencer"},
            "times": 1,
            "answer": {"code": "RATE_LIMITED", "retryAfter": 3},
        },
        "done, but nobody hears of it": {
            "match": {"method": "POST", "path": "/v1/projects/{id}/influencers"},
            "answer": {"loseReplyAfterEffect": True},
            "organizationId": ORGANIZATION,
        },
        "slow": {"answer": {"delayMs": 250}},
        "slower and slower": {"answer": {"slowBodyMs": 250}},
        "a gateway's page, each third time": {
            "every": 3,
            "answer": {"status": 502, "headers": {"Content-Type": "text/html"}, "body": "<h1>502 Bad Gateway</h1>"},
        },
        "a code of the days to come, after ten that go well": {
            "match": {"influencerId": AVA, "headers": {"User-Agent": "my-client/*"}},
            "after": 10,
            "answer": {"code": "QUOTA_EXCEEDED", "status": 402, "message": "The quota is used up."},
        },
        "one joke too many": {
            "match": {"operation": "patchInfluencer", "body": {"personality": {"humor": "dry"}}},
            "answer": {"resetConnection": True},
        },
        "a preset": {"preset": "flaky-gateway", "organizationId": ORGANIZATION},
        "cut off": {"answer": {"truncateBody": 20, "delayMs": 250}},
        "posts that fail": {
            "match": {"operation": "scheduleContent"},
            "answer": {"failPost": {"message": "The platform refused the video."}},
        },
        "a job that fails": {"answer": {"failJob": {"code": "MODEL_ERROR", "message": "The model did not converge."}}},
    },
    "CreditsSetting": {"none left": {"balance": 0}, "for one": {"balance": 100, "organizationId": ORGANIZATION}},
    "SocialAccountSetting": {
        "in need of a new consent": {"status": "reauth_required"},
        "fine again": {"status": "connected"},
    },
    "EndpointSetting": {"pause": {"status": "paused"}, "go on": {"status": "active"}},
    "LogSetting": {"off": {"enabled": False}},
}
