// One galaxy under fixed noise while its type changes: every frame is in the browser already, so
// that dragging asks nothing of the server.

export function render({model}) {
  const holder = {}
  let address = null
  const root = element("section", "morph")
  root.setAttribute("aria-label", "One synthetic galaxy, from type to type")
  const stage = element("div", "morph-stage synthetic")
  stage.setAttribute("role", "img")
  stage.append(element("span", "synthetic-mark", "SYNTHETIC"))
  const panel = element("div", "morph-panel")
  const said = element("output", "morph-type")
  const slider = element("input", "condition-slider")
  slider.type = "range"
  slider.setAttribute("aria-label", "Hubble type T of the galaxy")
  const ends = element("div", "morph-ends")
  ends.append(element("span", "", "early"), element("span", "", "late"))
  const play = element("button", "plain-button", "Play")
  const words = element("p", "samples-heading")
  const film = element("div", "morph-film")
  film.setAttribute("aria-hidden", "true")
  panel.append(said, slider, ends, play, words, film)
  root.append(stage, panel)

  const type = (value) => `T ${value.toFixed(2).replace("-", "−").replace(/\.?0+$/, "")}`
  const lines = () => Math.max(1, Math.ceil(model.values.length / model.sheet_columns))
  const nearest = (value) => {
    const gaps = model.values.map((one) => Math.abs(one - value))
    return gaps.indexOf(Math.min(...gaps))
  }
  const look = () => {
    const value = Number(slider.value)
    const place = nearest(value)
    said.textContent = type(value)
    slider.setAttribute("aria-valuetext", type(value))
    stage.setAttribute("aria-label", `Synthetic galaxy of type ${type(value)}, ${model.words}`)
    showTile(stage, address, place, model.sheet_columns, lines())
    stage.dataset.value = model.values[place]
    for (const one of film.children) {
      const gap = Math.abs(Number(one.dataset.value) - value)
      one.classList.toggle("near", gap <= 0.5)
    }
  }
  const strip = () => {
    const whole = model.values.map((value, place) => [value, place])
      .filter(([value]) => Number.isInteger(value))
    film.replaceChildren(...whole.map(([value, place]) => {
      const one = element("div", "morph-frame")
      one.dataset.value = value
      showTile(one, address, place, model.sheet_columns, lines())
      one.append(element("span", "", String(value).replace("-", "−")))
      one.addEventListener("click", () => { slider.value = value; look() })
      return one
    }))
  }

  let running = null
  const rest = () => {
    clearInterval(running)
    running = null
    play.textContent = "Play"
  }
  play.addEventListener("click", () => {
    if (running) { rest(); return }
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

  let turn = 0
  const draw = async () => {
    const mine = ++turn
    const next = sheetAddress(holder, model.sheet, model.sheet_format)
    await decoded(next)
    if (mine !== turn) return
    address = next
    const fresh = slider.max !== String(model.high) || slider.min !== String(model.low)
    Object.assign(slider, {min: model.low, max: model.high, step: model.step})
    if (fresh) slider.value = model.start
    slider.style.setProperty("--track", `linear-gradient(90deg, ${model.colours.join(", ")})`)
    words.textContent = model.heading
    stage.classList.toggle("blank", !next)
    strip()
    look()
    letGo(holder)
    if (model.stamp) requestAnimationFrame(() => { root.dataset.painted = model.stamp })
  }
  slider.addEventListener("input", () => { rest(); look() })
  drawOnChange(model, ["sheet", "values", "words", "heading", "stamp"], draw)
  model.on("remove", () => {
    rest()
    sheetAddress(holder, null)
    letGo(holder)
  })
  draw()
  return root
}
