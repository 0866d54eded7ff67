// Buttons with a text to copy. Pages that come over plain HTTP have no clipboard: they show the text.
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  if (!navigator.clipboard) { prompt("The command:", button.dataset.copy); return; }
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
