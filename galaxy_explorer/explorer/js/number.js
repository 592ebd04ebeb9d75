// A number that is typed; reports {value} once it is complete, whatever it is.

export function render({model}) {
  const root = element("label", "number-field")
  const name = element("span", "number-name")
  const input = element("input", "number-input", "", {inputmode: "decimal", autocomplete: "off"})
  input.maxLength = 20
  root.append(name, input)

  const dress = () => {
    name.textContent = model.label
    input.setAttribute("aria-label", model.label)
    input.placeholder = model.hint
    input.value = model.value ?? ""
  }
  input.addEventListener("change", () => {
    const text = input.value.trim()
    const value = Number.isFinite(Number(text)) ? Number(text) : text
    model.send_msg({value: text ? value : null})
  })
  drawOnChange(model, ["value", "label", "refusals"], dress)
  dress()
  return root
}
