// A search field; what is asked travels with the question, so that nothing typed later mixes in.

export function render({model}) {
  const form = element("form", "search-form", "", {role: "search"})
  const input = element("input", "search-input", "", {type: "search", maxlength: 500})
  input.spellcheck = false
  input.autocomplete = "off"
  const go = element("button", "search-go", "Find")
  form.append(input, go)

  const dress = () => {
    input.placeholder = model.hint
    input.setAttribute("aria-label", model.label)
    input.title = model.explanation
  }
  let asked = null
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    if (!input.value.trim()) return
    asked = input.value
    model.send_msg({ask: asked})
  })
  // The echo of what was asked is old news: the next question may be half typed by now.
  model.on("text", () => {
    if (model.text !== asked) input.value = model.text
  })
  model.on(["hint", "label", "explanation"], dress)
  input.value = model.text
  dress()
  return form
}
