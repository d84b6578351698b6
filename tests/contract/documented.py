"""What there is to prove: the operations as the OpenAPI document tells them."""

from app import document
from layers_standin.conform.document import operations_of

DOCUMENT = document("http://localhost")
OPERATIONS = operations_of(DOCUMENT)
BY_ID = {told.id: told for told in OPERATIONS}
