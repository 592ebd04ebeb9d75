// A galaxy whose type is dragged: every frame is in the browser already, so that dragging asks
// nothing of the server; letting go says which type is wanted.

const PLAY_MS = 130

function makeMorph() {
  const root = element("section", "morph")
  root.setAttribute("aria-label", "One synthetic galaxy, from type to type")
  const original = element("figure", "morph-original")
  const stage = element("div", "picture morph-stage synthetic", "", {role: "img"})
  stage.append(element("span", "synthetic-mark", "SYNTHETIC"))
  const panel = element("div", "morph-panel")
  const head = element("div", "morph-head")
  const type = element("output", "morph-type")
  const free = element("button", "plain-button condition-free", "any T")
  const play = element("button", "plain-button", "Play")
  head.append(type, free, play)
  const slider = element("input", "condition-slider", "", {type: "range"})
  const ends = element("div", "morph-ends")
  ends.append(element("span", "", "early"), element("span", "", "late"))
  const film = element("div", "morph-film")
  const words = element("p", "samples-heading")
  panel.append(head, slider, ends, film, words)
  root.append(original, stage, panel)
  return {root, original, stage, type, free, slider, play, words, film}
}

function typeWords(value) {
  return `T ${value.toFixed(1).replace("-", "−")}`
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
      const place = Number(slider.value)
      if (place >= model.values.length - 1) up = -1
      if (place <= 0) up = 1
      slider.value = place + up
      look()
    }, PLAY_MS)
  })
  return rest
}

// A frame of each whole type, in a row; a click goes there.
function makeFilm(model, showFrame, choose) {
  const whole = model.values
    .map((value, place) => [value, place])
    .filter(([value]) => Number.isInteger(value))
  return whole.map(([value, place], number) => {
    const one = element("button", "picture morph-frame")
    one.dataset.place = place
    one.setAttribute("aria-label", `${model.label} ${String(value).replace("-", "−")}`)
    one.style.setProperty("--chip", model.colours[number] || "var(--line)")
    showFrame(one, place)
    one.append(element("span", "", String(value).replace("-", "−")))
    one.addEventListener("click", () => choose(place))
    return one
  })
}

// What the galaxy is like, beside it.
function showOriginal(model, figure, address) {
  figure.hidden = !model.original_words
  figure.replaceChildren()
  if (figure.hidden) return
  const picture = element("img", "picture")
  picture.src = address || ""
  picture.alt = model.original_words
  figure.append(picture, element("span", "real-mark", model.real_mark))
  figure.append(element("figcaption", "", model.original_words))
}

// Draws the frame at the slider, and says which type it is of.
function makeLook(model, parts, here) {
  const {root, stage, type, free, slider, film} = parts
  return () => {
    const place = Number(slider.value)
    const value = model.values[place]
    const none = model.value === null && !here.moved
    type.textContent = none ? "any T" : typeWords(value)
    slider.setAttribute("aria-valuetext", type.textContent)
    stage.setAttribute("aria-label", `Synthetic galaxy of type ${typeWords(value)}, ${model.words}`)
    here.showFrame(stage, place)
    stage.dataset.value = value
    root.classList.toggle("free", none)
    free.setAttribute("aria-pressed", String(none))
    for (const one of film.children) {
      one.setAttribute("aria-pressed", String(!none && Number(one.dataset.place) === place))
    }
  }
}

// Brings the slider to the type that is asked for.
function stand(model, {slider, free}) {
  slider.setAttribute("aria-label", model.label)
  Object.assign(slider, {min: 0, max: Math.max(0, model.values.length - 1), step: 1})
  const step = model.values.length > 1 ? model.values[1] - model.values[0] : 1
  const wanted = model.value === null ? model.rest : model.value
  slider.value = Math.round((wanted - model.values[0]) / step)
  slider.style.setProperty("--track", `linear-gradient(90deg, ${model.colours.join(", ")})`)
  free.title = model.free_words
}

export function render({model}) {
  const parts = makeMorph()
  const {root, stage, free, slider, film} = parts
  const here = {address: null, moved: false}
  here.showFrame = (node, place) => {
    const lines = Math.max(1, Math.ceil(model.values.length / model.sheet_columns))
    showTile(node, here.address, place, model.sheet_columns, lines)
  }
  const look = makeLook(model, parts, here)
  const move = () => {
    here.moved = true
    look()
  }
  const rest = makePlayer(model, parts, move)
  const choose = (place) => {
    rest()
    slider.value = place
    move()
    model.send_msg({value: model.values[place]})
  }
  const settle = () => {
    here.moved = false
    stand(model, parts)
    look()
  }
  const draw = (sheet, original) => {
    here.address = sheet
    parts.words.textContent = model.heading
    stage.classList.toggle("blank", !sheet)
    film.replaceChildren(...makeFilm(model, here.showFrame, choose))
    look()
    showOriginal(model, parts.original, original)
  }
  slider.addEventListener("input", () => {
    rest()
    move()
  })
  slider.addEventListener("change", () => choose(Number(slider.value)))
  free.addEventListener("click", () => {
    rest()
    model.send_msg({value: model.value === null ? model.rest : null})
  })
  drawOnChange(model, ["value", "refusals", "rest", "values", "label", "colours"], settle)
  model.on("remove", rest)
  settle()
  const names = ["original_words", "values", "words", "heading", "stamp"]
  drawPictures(model, root, ["sheet", "original"], names, draw)
  return root
}
