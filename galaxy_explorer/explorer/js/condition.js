// One quantity that may be asked for: chips for round values, a slider for any, a button for none.

export function render({model}) {
  const root = element("fieldset", "condition")
  const head = element("div", "condition-head")
  const name = element("legend", "condition-name")
  const value = element("output", "condition-value")
  const free = element("button", "plain-button condition-free")
  free.type = "button"
  head.append(value, free)
  const chips = element("div", "condition-chips")
  const slider = element("input", "condition-slider")
  slider.type = "range"
  root.append(name, head, chips, slider)

  const words = (number) => {
    const digits = Math.max(0, Math.ceil(-Math.log10(model.step || 1)))
    const text = Number(number.toFixed(digits)).toString().replace("-", "−")
    return model.unit ? `${text} ${model.unit}` : text
  }
  const send = (wanted) => model.send_msg({value: wanted})
  const show = (number) => {
    const none = number === null
    value.textContent = none ? model.free : words(number)
    slider.setAttribute("aria-valuetext", value.textContent)
    root.classList.toggle("free", none)
    free.setAttribute("aria-pressed", String(none))
    for (const chip of chips.children) {
      chip.setAttribute("aria-pressed", String(!none && Number(chip.dataset.value) === number))
    }
  }

  const dress = () => {
    name.textContent = model.label
    free.textContent = model.free
    free.title = model.free_words
    free.hidden = !model.free
    slider.setAttribute("aria-label", model.label)
    slider.title = model.explanation
    Object.assign(slider, {min: model.low, max: model.high, step: model.step})
    slider.value = model.value === null ? model.rest : model.value
    const stops = model.colours.join(", ")
    slider.style.setProperty("--track", stops ? `linear-gradient(90deg, ${stops})` : "var(--line)")
    chips.hidden = !model.chips.length
    chips.replaceChildren(
      ...model.chips.map((number, place) => {
        const chip = element("button", "condition-chip", words(number))
        chip.type = "button"
        chip.dataset.value = number
        chip.setAttribute("aria-label", `${model.label} ${words(number)}`)
        chip.style.setProperty("--chip", model.colours[place] || "var(--line)")
        chip.addEventListener("click", () => send(number))
        return chip
      }),
    )
    show(model.value)
  }

  slider.addEventListener("input", () => show(Number(slider.value)))
  slider.addEventListener("change", () => send(Number(slider.value)))
  free.addEventListener("click", () => send(model.value === null ? model.rest : null))
  drawOnChange(model, ["value", "refusals", "label", "low", "high", "step", "chips"], dress)
  dress()
  return root
}
