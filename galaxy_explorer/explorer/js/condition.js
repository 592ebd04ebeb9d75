// One quantity that may be asked for: a slider, the number itself, and a button for any.

// The slider moves in steps of its own, from which a value follows and back.
function makeScale(model) {
  const digits = () => Math.max(0, Math.ceil(-Math.log10(model.step || 1)))
  const rounded = (value) =>
    Math.min(model.high, Math.max(model.low, Number(value.toFixed(digits()))))
  const steps = () => Math.max(1, Math.round((model.high - model.low) / model.step))
  const valueAt = (place) => {
    const share = place / steps()
    if (model.log) return rounded(model.low * (model.high / model.low) ** share)
    return rounded(model.low + share * (model.high - model.low))
  }
  const placeOf = (value) => {
    const share = model.log
      ? Math.log(value / model.low) / Math.log(model.high / model.low)
      : (value - model.low) / (model.high - model.low)
    return Math.round(share * steps())
  }
  const words = (value) => Number(value.toFixed(digits())).toString().replace("-", "−")
  return {steps, valueAt, placeOf, words}
}

function makeCondition() {
  const root = element("fieldset", "condition")
  const name = element("legend", "condition-name")
  const head = element("div", "condition-head")
  const number = element("input", "condition-number", "", {inputmode: "decimal"})
  number.autocomplete = "off"
  number.maxLength = 20
  const unit = element("span", "condition-unit")
  const free = element("button", "plain-button condition-free", "", {type: "button"})
  head.append(number, unit, free)
  const line = element("div", "condition-line")
  const slider = element("input", "condition-slider", "", {type: "range"})
  const ends = ["", ""].map(() => element("span", "condition-end"))
  line.append(ends[0], slider, ends[1])
  root.append(name, head, line)
  return {root, name, number, unit, free, slider, ends}
}

export function render({model}) {
  const {root, name, number, unit, free, slider, ends} = makeCondition()

  const {steps, valueAt, placeOf, words} = makeScale(model)
  const send = (wanted) => model.send_msg({value: wanted})
  const show = (value) => {
    const none = value === null
    number.value = none ? "" : words(value)
    slider.setAttribute(
      "aria-valuetext",
      none ? model.free : [words(value), model.unit].filter(Boolean).join(" "),
    )
    root.classList.toggle("free", none)
    free.hidden = none || !model.free
  }
  const dress = () => {
    name.textContent = model.label
    number.setAttribute("aria-label", [model.label, model.unit || "number"].join(", "))
    number.placeholder = model.free
    unit.textContent = model.unit
    free.textContent = model.free
    free.title = model.free_words
    free.setAttribute("aria-label", `${model.label}: ${model.free}`)
    slider.setAttribute("aria-label", model.label)
    slider.title = model.explanation
    Object.assign(slider, {min: 0, max: steps(), step: 1})
    slider.value = placeOf(model.value === null ? model.rest : model.value)
    ends[0].textContent = words(model.low)
    ends[1].textContent = words(model.high)
    show(model.value)
  }

  slider.addEventListener("input", () => show(valueAt(Number(slider.value))))
  slider.addEventListener("change", () => send(valueAt(Number(slider.value))))
  number.addEventListener("change", () => {
    const text = number.value.trim().replace("−", "-")
    const value = Number(text)
    send(text ? (Number.isFinite(value) ? value : text) : model.free ? null : model.value)
  })
  free.addEventListener("click", () => {
    send(null)
    slider.focus()
  })
  drawOnChange(
    model,
    ["value", "refusals", "label", "unit", "low", "high", "step", "rest", "free"],
    dress,
  )
  dress()
  return root
}
