"""What was answered, and what of it is as told."""

from collections import defaultdict

from werkzeug.wrappers import Response

from contract.conformance import Conformance
from contract.documented import DOCUMENT
from layers_standin.conform.document import Told
from layers_standin.openapi.json_schema import ref

_CONFORMANCE = Conformance(DOCUMENT)


class Answers:
    """Everything a service has answered, by the id of the operation.

    `shown` has the statuses of replies, the names of refusals and those of headers, of those responses only that are
    wholly as told; `faults` is what was wrong with the others, `accepted` how many example bodies were.
    """

    def __init__(self) -> None:
        self.shown: dict[str, set[str]] = defaultdict(set)
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.accepted: dict[str, int] = defaultdict(int)

    def note(self, told: Told, response: Response) -> None:
        """Keep what a response shows; one that is not as told shows nothing."""
        faults = _CONFORMANCE.faults(told.method, told.path, response)
        self.faults[told.id] += faults
        if not faults:
            self.shown[told.id] |= _shown_by(told, response)
            self.shown[told.id] |= {name for name in told.headers if name in response.headers}

    def expect(self, told: Told, refusal: str, response: Response) -> None:
        """Keep it as a fault if a response is not the refusal that was provoked, even if it may be some other."""
        if refusal not in _shown_by(told, response):
            self.faults[told.id].append(f"{response.status_code} instead of `{refusal}`")


def _shown_by(told: Told, response: Response) -> set[str]:
    status = str(response.status_code)
    if status in told.replies:
        return {status}
    return {
        name
        for name, known in told.refusals.items()
        if known == status and not _CONFORMANCE.schema_faults(response.json, ref(name))
    }
