// In a file of its own, because the page's policy lets nothing run that is written into it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null, // or it would show the document to a service elsewhere
});
