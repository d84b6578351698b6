// In a file of its own, because the page's policy lets nothing run that is written into it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true, // the key stays in the browser over a reload
  tryItOutEnabled: true,
  validatorUrl: null, // or it would show the document to a service elsewhere
});

// Each field of the dialog for keys asks for the focus, and the last one gets it; the API key is in the first.
let isOpen = false;
new MutationObserver(() => {
  const first = document.querySelector(".auth-container");
  if (first && !isOpen) {
    first.querySelector("input")?.focus();
    first.scrollIntoView();
  }
  isOpen = Boolean(first);
}).observe(document.getElementById("reference"), { childList: true, subtree: true });
