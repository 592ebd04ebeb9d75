// One galaxy under fixed noise while its type changes: every frame is in the browser already, so
// that dragging asks nothing of the server.

function makeMorph() {
  const root = element("section", "morph")
  root.setAttribute("aria-label", "One synthetic galaxy, from type to type")
  const stage = element("div", "morph-stage synthetic")
  stage.setAttribute("role", "img")
  stage.append(element("span", "synthetic-mark", "SYNTHETIC"))
  const panel = element("div", "morph-panel")
  const type = element("output", "morph-type")
  const slider = element("input", "condition-slider")
  slider.type = "range"
  slider.setAttribute("aria-label", "Hubble type T of the galaxy")
  const ends = element("div", "morph-ends")
  ends.append(element("span", "", "early"), element("span", "", "late"))
  const play = element("button", "plain-button", "Play")
  const words = element("p", "samples-heading")
  const film = element("div", "morph-film")
  film.setAttribute("aria-hidden", "true")
  panel.append(type, slider, ends, play, words, film)
  root.append(stage, panel)
  return {root, stage, type, slider, play, words, film}
}

function typeWords(value) {
  const digits = value.toFixed(2).replace("-", "−")
  return `T ${digits.replace(/\.?0+$/, "")}`
}

// Place of the frame whose type is nearest to a value.
function nearestFrame(values, value) {
  const gaps = values.map((one) => Math.abs(one - value))
  return gaps.indexOf(Math.min(...gaps))
}

// Moves the slider up and down by itself until it is stopped.
function makePlayer(model, {play, slider}, look) {
  let running = null
  const rest = () => {
    clearInterval(running)
    running = null
    play.textContent = "Play"
  }
  play.addEventListener("click", () => {
    if (running) {
      rest()
      return
    }
    play.textContent = "Stop"
    let up = 1
    running = setInterval(() => {
      const value = Number(slider.value)
      if (value >= model.high) up = -1
      if (value <= model.low) up = 1
      slider.value = value + up * model.step
      look()
    }, 130)
  })
  return rest
}

function fitSlider(model, slider) {
  const fresh = slider.max !== String(model.high) || slider.min !== String(model.low)
  Object.assign(slider, {min: model.low, max: model.high, step: model.step})
  if (fresh) slider.value = model.start
  slider.style.setProperty("--track", `linear-gradient(90deg, ${model.colours.join(", ")})`)
}

// A frame of each whole type, in a row; a click goes there.
function makeFilm(model, slider, showFrame, look) {
  const whole = model.values
    .map((value, place) => [value, place])
    .filter(([value]) => Number.isInteger(value))
  return whole.map(([value, place]) => {
    const one = element("div", "morph-frame")
    one.dataset.value = value
    showFrame(one, place)
    one.append(element("span", "", String(value).replace("-", "−")))
    one.addEventListener("click", () => {
      slider.value = value
      look()
    })
    return one
  })
}

export function render({model}) {
  const holder = {}
  let address = null
  const parts = makeMorph()
  const {root, stage, type, slider, words, film} = parts

  const showFrame = (node, place) => {
    const lines = Math.max(1, Math.ceil(model.values.length / model.sheet_columns))
    showTile(node, address, place, model.sheet_columns, lines)
  }
  const look = () => {
    const value = Number(slider.value)
    const place = nearestFrame(model.values, value)
    type.textContent = typeWords(value)
    slider.setAttribute("aria-valuetext", typeWords(value))
    stage.setAttribute("aria-label", `Synthetic galaxy of type ${typeWords(value)}, ${model.words}`)
    showFrame(stage, place)
    stage.dataset.value = model.values[place]
    for (const one of film.children) {
      const gap = Math.abs(Number(one.dataset.value) - value)
      one.classList.toggle("near", gap <= 0.5)
    }
  }
  const rest = makePlayer(model, parts, look)

  let turn = 0
  const draw = async () => {
    const mine = ++turn
    const next = sheetAddress(holder, model.sheet, model.sheet_format)
    await decoded(next)
    if (mine !== turn) return
    address = next
    fitSlider(model, slider)
    words.textContent = model.heading
    stage.classList.toggle("blank", !next)
    film.replaceChildren(...makeFilm(model, slider, showFrame, look))
    look()
    letGo(holder)
    tellPainted(root, model)
  }
  slider.addEventListener("input", () => {
    rest()
    look()
  })
  drawOnChange(model, ["sheet", "values", "words", "heading", "stamp"], draw)
  model.on("remove", rest)
  freeWhenRemoved(model, holder)
  draw()
  return root
}
