// The strip of brushes: a histogram for each column, and what passes them all.

const EVERY_MS = 100 // between reports of a brush that moves
const PATIENCE_MS = 2000 // an answer that does not come is waited for no longer

// Reports brushes: those that move one at a time, not too often, the last one in any case.
class Reporter {
  constructor(send) {
    Object.assign(this, {send, serial: 0, next: null, sent: -Infinity, flying: false})
  }

  report(message) {
    this.next = message
    if (!message.final) return this.pump()
    this.go()
  }

  pump() {
    clearTimeout(this.timer)
    if (!this.next) return
    const since = performance.now() - this.sent
    const wait = this.flying ? PATIENCE_MS - since : EVERY_MS - since
    if (wait <= 0) this.go()
    else this.timer = setTimeout(() => this.pump(), wait)
  }

  go() {
    clearTimeout(this.timer)
    this.serial += 1
    this.sent = performance.now()
    this.flying = !this.next.final
    this.send({...this.next, serial: this.serial})
    this.next = null
  }

  // What was reported last is no longer of interest.
  forget() {
    clearTimeout(this.timer)
    this.next = null
    this.serial += 1
  }

  // Whether an answer is about the last report.
  heard(serial) {
    this.flying = false
    this.pump()
    return serial === this.serial
  }
}

function makeBar(model) {
  const bar = element("div", "brushes-bar")
  const fold = element("button", "icon-button brushes-fold", "▾")
  const counted = element("span", "brushes-counted")
  const count = element("span")
  counted.append(count, element("span", "wide", " galaxies"))
  const chips = element("div", "brushes-chips")
  const clear = element("button", "brushes-clear")
  const number = element("span", "narrow")
  clear.append(element("span", "wide", "Clear"), number)
  clear.setAttribute("aria-label", "Clear the selection and all brushes")
  clear.title = "Select all galaxies again: no brush, nothing else"
  clear.addEventListener("click", () => model.send_msg({clear: ""}))
  const add = element("select", "brushes-add", "", {"aria-label": "Add a column"})
  add.title = "Add the histogram of another column"
  add.addEventListener("change", () => {
    if (add.value) model.send_msg({add: add.value})
    add.value = ""
  })
  bar.append(fold, counted, chips, clear, add)
  return {bar, fold, counted, count, chips, clear, number, add}
}

function chip(words, kind, what, action) {
  const button = element("button", `brushes-chip ${kind}`, `${words} ×`)
  button.title = `Clear ${what}: ${words}`
  button.setAttribute("aria-label", button.title)
  button.addEventListener("click", action)
  return button
}

function dressBar(model, {counted, count, chips, clear, number, add}) {
  count.textContent = model.count
  counted.classList.toggle("none", model.none)
  const brushes = Object.entries(model.brushes)
  const shown = brushes.map(([name, {told}]) =>
    chip(told, "", "the brush", () => model.send_msg({clear: name})),
  )
  if (model.base) {
    shown.unshift(chip(model.base, "base", "what was chosen", () => model.send_msg({base: false})))
  }
  chips.replaceChildren(...shown)
  number.textContent = `${shown.length} ×`
  clear.hidden = !shown.length
  const options = model.offered.map(([name, words]) => new Option(words, name))
  add.replaceChildren(new Option("+ column", ""), ...options)
  add.hidden = !model.offered.length
}

function foldable(fold, row) {
  const show = (open) => {
    row.hidden = !open
    fold.textContent = open ? "▾" : "▴"
    fold.title = open ? "Fold the brushes away" : "Show the brushes"
    fold.setAttribute("aria-label", fold.title)
    fold.setAttribute("aria-expanded", String(open))
  }
  fold.addEventListener("click", () => show(row.hidden))
  show(true)
}

export function render({model}) {
  const root = element("div", "brushes", "", {role: "group", "aria-label": "Brushes"})
  const parts = makeBar(model)
  const row = element("div", "brushes-row")
  const said = element("div", "brushes-said", "", {role: "status"})
  root.append(parts.bar, row, said)
  foldable(parts.fold, row)
  const reporter = new Reporter((message) => model.send_msg(message))
  let shown = []

  const show = (fronts) => {
    shown.forEach((one, i) => {
      one.show(fronts[i], model.brushes[one.data.name])
    })
  }
  const make = (data) => {
    const {name} = data
    const change = (brush, final) => {
      if (brush) reporter.report({brush: name, ...brush, final})
      else if (final) off(true)
    }
    const off = (on) => {
      reporter.forget()
      model.send_msg(on ? {clear: name} : {remove: name})
    }
    return makeBrush(data, change, off)
  }
  const build = () => {
    shown = model.histograms.map(make)
    row.replaceChildren(...shown.map(({node}) => node))
  }
  const update = () => {
    if (
      shown.map(({data}) => data.name).join("\n") !==
      model.histograms.map(({name}) => name).join("\n")
    )
      build()
    show(model.fronts)
    dressBar(model, parts)
    said.textContent = `${model.count} galaxies`
  }

  drawOnChange(
    model,
    ["histograms", "fronts", "brushes", "count", "none", "base", "offered"],
    update,
  )
  model.on("msg:custom", (answer) => {
    if (!reporter.heard(answer.serial)) return
    parts.count.textContent = answer.count
    show(answer.fronts)
  })
  build()
  update()
  return root
}
