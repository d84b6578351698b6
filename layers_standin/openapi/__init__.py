"""The OpenAPI document, made from the operations and the schemas that serve them. Knows no Flask and no store."""
