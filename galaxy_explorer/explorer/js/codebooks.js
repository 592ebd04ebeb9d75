// Codebooks from few codes to many: a slider, the same galaxies, what was measured, who changes group.
// All pictures, figures and flows are here from the start: moving the slider asks nobody.

function radios(legend, name, choices, chosen, choose) {
  const box = element("fieldset", "codes-choice")
  box.append(element("legend", "", legend))
  for (const [value, words] of choices) {
    const label = element("label")
    const input = element("input")
    Object.assign(input, {type: "radio", name, value, checked: value === chosen})
    input.addEventListener("change", () => choose(value))
    label.append(input, words)
    box.append(label)
  }
  return box
}

function makeSlider(choose) {
  const root = element("div", "codes-slider")
  const label = element("label", "", "Number of codes")
  const value = element("output")
  label.append(value)
  const input = element("input", "", "", {type: "range", min: 0, id: "number-of-codes"})
  label.htmlFor = input.id
  const ticks = element("div", "codes-ticks", "", {"aria-hidden": "true"})
  input.addEventListener("input", () => choose(Number(input.value)))
  const legend = element("p", "soft", "In brackets: measured, but not in this bundle to draw.")
  root.append(label, input, ticks, legend)
  const show = (steps, here) => {
    input.max = steps.length - 1
    input.value = here
    const missing = (step) => !step.views[0].model
    const words = `${steps[here].codes} codes${missing(steps[here]) ? ", figures only" : ""}`
    value.textContent = words
    input.setAttribute("aria-valuetext", words)
    legend.hidden = !steps.some(missing)
    ticks.replaceChildren(
      ...steps.map((step, place) => {
        const tick = element("span", "", missing(step) ? `(${step.codes})` : step.codes)
        tick.classList.toggle("here", place === here)
        tick.addEventListener("click", () => choose(place))
        return tick
      }),
    )
  }
  return {root, show}
}

// The lines of pictures: the original, else what the fewest codes draw; then by each code map that is
// shown what is drawn and what is lost.
function picturesOf(model, steps, here, views) {
  const linesOf = (view) => model.rows.filter((line) => view.model && line.model === view.model)
  const original = model.rows.find((line) => !line.model)
  const first = steps.find((step) => step.views[0].model)
  const found = []
  if (original) found.push({words: "Original", line: original})
  else if (first) found.push({words: `${first.codes} codes`, line: linesOf(first.views[0])[0]})
  views.forEach((view, place) => {
    const size = views.length > 1 ? `${model.sides[place]}×${model.sides[place]}, ` : ""
    const [line, lost] = linesOf(view)
    const absent = line ? "" : ": not in this bundle"
    found.push({words: `${size}${steps[here].codes} codes${absent}`, line, now: true})
    if (original && line) found.push({words: "what is lost", note: lost.notes[0], line: lost})
  })
  return found
}

function drawGalaxies(box, model, rows, address) {
  const names = element("div", "codes-names")
  for (const row of rows) {
    const label = element("div", row.now ? "now" : "", row.words)
    if (row.note) label.append(element("small", "soft", row.note))
    names.append(label)
  }
  const columns = model.columns.map((galaxy, place) => {
    const button = element("button", "codes-galaxy")
    button.ariaLabel = `${galaxy.words}: ${rows.map((row) => row.words).join(", ")}`
    button.title = galaxy.words
    for (const {line} of rows) {
      const tile = element("span", line ? "picture codes-tile" : "picture codes-tile missing")
      if (line) {
        showTile(tile, address, line.tiles[place].place, model.sheet_columns, model.sheet_rows)
      }
      button.append(tile)
    }
    button.append(element("span", "codes-name", galaxy.name), element("span", "soft", galaxy.note))
    button.addEventListener("click", () => model.send_msg({tile: galaxy.id}))
    return button
  })
  box.style.setProperty("--galaxies", columns.length || 1)
  box.replaceChildren(names, ...columns)
}

function makeChange(model) {
  const root = element("section", "codes-change")
  const answer = element("p", "answer")
  const heads = element("div", "flow-heads")
  const box = element("div", "flow", "", {role: "group"})
  box.ariaLabel = "Galaxies that change group"
  box.addEventListener("keydown", (event) => moveAmong(event, box))
  const note = element("p", "soft")
  const movers = element("button", "plain-button")
  movers.addEventListener("click", () => model.send_msg({movers: true}))
  root.append(element("h3", "", "Which galaxies change group?"), answer, heads, box, note, movers)
  const show = ({flow, change, note: words, movers: count}) => {
    answer.textContent = change
    note.textContent = words
    for (const part of [heads, box, movers]) part.hidden = !flow
    movers.textContent = `Select the ${count.toLocaleString("en")} galaxies that change group`
    if (!flow) return
    heads.replaceChildren(...flow.sides.map((words) => element("b", "", words)))
    drawFlow(box, flow, model.picked, (message) => model.send_msg(message))
  }
  return {root, show}
}

function makeWorth(model) {
  const root = element("section", "codes-worth")
  const head = element("h3")
  const answer = element("p", "answer")
  const toggle = element("button", "plain-button")
  root.append(head, answer, toggle)
  toggle.addEventListener("click", () => {
    const on = model.code_map !== model.sides[1]
    if (on) model.codes = pair
    model.code_map = model.sides[on ? 1 : 0]
  })
  let pair = ""
  const show = (way) => {
    root.hidden = !way.worth
    pair = way.pair
    const [small, large] = model.sides.map((side) => `${side}×${side}`)
    head.textContent = `Is a map of ${large} worth it?`
    answer.textContent = way.worth
    const on = model.code_map === model.sides[1]
    toggle.setAttribute("aria-pressed", String(on))
    toggle.textContent = on ? `Show ${small} alone` : `Show ${large} beside ${small}`
  }
  return {root, show}
}

// What there is on the page, and how each part is brought to what the model says.
function makeParts(model) {
  const parts = {
    verdict: element("p", "codes-verdict"),
    choice: element("div"),
    slider: makeSlider((place) => {
      model.codes = stepsOf(model)[place].codes
    }),
    galaxies: element("div", "codes-galaxies"),
    heading: element("p", "soft"),
    clear: element("button", "plain-button", "Back to one of each type"),
    dials: model.dials.map(makeDial),
    change: makeChange(model),
    worth: makeWorth(model),
  }
  const controls = element("div", "codes-controls")
  controls.append(parts.slider.root, parts.choice)
  const left = element("div", "codes-pictures")
  const under = element("div", "codes-under")
  parts.clear.addEventListener("click", () => model.send_msg({clear: true}))
  under.append(parts.heading, parts.clear)
  left.append(parts.galaxies, under)
  const right = element("div", "codes-dials")
  right.append(...parts.dials.map((dial) => dial.root))
  const root = element("div", "codes-page")
  root.append(parts.verdict, controls, left, right, parts.change.root, parts.worth.root)
  return {...parts, root}
}

function stepsOf(model) {
  return model.steps.filter((step) => step.way === model.way)
}

export function render({model}) {
  let address = null
  const parts = makeParts(model)
  const {root} = parts

  const show = () => {
    const steps = stepsOf(model)
    const here = Math.max(
      0,
      steps.findIndex((step) => step.codes === model.codes),
    )
    const beside = model.sides.length > 1 && model.code_map === model.sides[1]
    const views = steps[here].views.slice(0, beside ? 2 : 1)
    const way = model.ways.find((one) => one.way === model.way)
    const sizes = steps.map((step) => step.codes)
    parts.verdict.textContent = way.verdict
    parts.slider.show(steps, here)
    drawGalaxies(parts.galaxies, model, picturesOf(model, steps, here, views), address)
    parts.dials.forEach((dial, place) => {
      const figures = steps.map((step) => step.views[0].dials[place])
      const own = figures[here]
      dial.value.textContent = own ? own.text : "–"
      dial.answer.textContent = own ? own.answer : "Not trained."
      const ring = views[1]?.dials[place]?.text
      const larger =
        ring && ring !== "–" ? `Ring: ${ring} with ${model.sides[1]}×${model.sides[1]}. ` : ""
      dial.trend.textContent = larger + way.trends[place]
      drawDial(dial.svg, sizes, figures, here, views[1]?.dials[place], model.dials[place].end)
    })
    parts.change.show(views[views.length - 1])
    parts.worth.show(way)
    root.dataset.codes = model.codes
  }

  const chooseWay = () => {
    const choices = model.ways.map(({way, words}) => [way, words])
    const pick = (way) => {
      model.way = way
    }
    parts.choice.replaceChildren(radios("Codebook learnt", "way", choices, model.way, pick))
    parts.choice.hidden = choices.length < 2
    show()
  }

  const draw = (next) => {
    address = next
    parts.heading.textContent = model.heading
    parts.clear.hidden = !model.selected
    show()
    root.dataset.galaxies = model.columns.length
  }
  model.on(["codes", "code_map", "picked"], show)
  model.on("way", chooseWay)
  chooseWay()
  drawPictures(model, root, ["sheet"], ["columns", "rows", "heading", "stamp", "selected"], draw)
  return root
}
