// Texts to take along, each with a button that copies it. "{page}" stands for this page's address.

export function render({model}) {
  const root = element("div", "copy-list")

  const copy = async (field, button) => {
    field.select()
    let copied = true
    try {
      await navigator.clipboard.writeText(field.value)
    } catch {
      copied = document.execCommand("copy") // pages that are not served safely
    }
    button.textContent = copied ? "Copied" : "Press Ctrl-C"
    setTimeout(() => {
      button.textContent = "Copy"
    }, 2000)
  }

  const draw = () => {
    const page = location.origin + location.pathname
    root.replaceChildren(
      ...model.texts.map(([label, text, rows]) => {
        const block = element("label", "copy-block", label)
        const field = element("textarea", "copy-field")
        field.readOnly = true
        field.rows = rows
        field.value = text.replaceAll("{page}", page)
        field.addEventListener("focus", () => field.select())
        const button = element("button", "plain-button", "Copy", {"aria-label": `Copy: ${label}`})
        button.addEventListener("click", (event) => {
          event.preventDefault()
          copy(field, button)
        })
        block.append(field, button)
        return block
      }),
    )
  }
  model.on("texts", draw)
  draw()
  return root
}
