"""Sender."""

import httpx

from layers_standin.domain.deliveries import Answer


async def send(url: str, headers: dict[str, str], body: bytes, allowed: str) -> Answer:
    """Send."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return Answer(None, f"{type(error).__name__}")
    return Answer(answer.status_code)
