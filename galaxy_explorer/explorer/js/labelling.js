// The labelling desk: one galaxy large, keys that assign and advance, a badge that says what is
// stored. Every change carries the identifier of the galaxy that was on the screen and an
// identifier of its own; it stays in the outbox until the server has said that it is on the disk.

const IDLE_MS = 250
const AHEAD = 6
const HELD = 72
const REFILL = 60
const CONFIDENCES = ["", "low", "medium", "high"]
const TYPING =
  'input:not([type="checkbox"], [type="radio"]), textarea, select, dialog[open], ' +
  '[contenteditable="true"], [role="combobox"][aria-expanded="true"], ' +
  '[role="listbox"], [role="option"], [role="menu"], [role="dialog"], [role="textbox"]'
const OWN_ARROWS =
  '[role="radiogroup"], [role="group"], [role="tablist"], [role="slider"], ' + '[role="toolbar"]'

function within(event, selector) {
  return event.composedPath().some((node) => node instanceof Element && node.matches(selector))
}

function makeNameForm() {
  const form = element("form", "desk-name")
  const field = element("input", "", "", {"aria-label": "Your name", maxlength: 60})
  field.placeholder = "Your name"
  const start = element("button", "plain-button", "Start labelling")
  const error = alertLine()
  const words = element("label", "", "Who labels? Each name has a layer of labels of its own.")
  form.append(words, field, start, error)
  return {form, field, error}
}

function makeBar() {
  const bar = element("div", "desk-bar")
  const place = element("span", "desk-place")
  const name = element("span", "desk-who")
  const leave = element("button", "plain-button small", "change name")
  const badge = element("span", "desk-badge", "", {role: "status"})
  bar.append(place, name, leave, badge)
  return {bar, place, name, leave, badge}
}

function makeStage() {
  const stage = element("div", "desk-stage")
  const frame = element("figure", "desk-frame")
  const picture = element("img", "picture")
  const origin = element("figcaption", "desk-words")
  frame.append(picture, origin)
  const side = element("div", "desk-side")
  const title = element("h2", "desk-title")
  const words = element("p", "desk-words")
  const stages = element("div", "desk-terms stages")
  const features = element("div", "desk-terms")
  const note = element("input", "desk-note", "", {"aria-label": "Note on this galaxy"})
  note.placeholder = "Note (n)"
  note.maxLength = 500
  const predicted = element("p", "desk-predicted")
  const tools = element("div", "desk-tools")
  const message = alertLine()
  const {tiles, accept} = makeGrid()
  side.append(title, words, predicted, stages, features, note, tools, message, tiles)
  stage.append(frame, side)
  const galaxy = {title, words, predicted, stages, features, note, tiles, accept}
  return {stage, picture, origin, tools, message, ...galaxy}
}

class Desk {
  constructor(model) {
    this.model = model
    this.items = new Map() // by place: [row, identifier, caption, what I said, prediction]
    this.offset = 0 // place here of the first galaxy of the server's order
    this.total = 0
    this.serial = -1
    this.cursor = 0
    this.aside = null
    this.confidence = ""
    this.asked = -1
    this.idle = undefined
    this.held = new Map()
    this.root = element("section", "desk")
    this.root.setAttribute("aria-label", "Labelling desk")
    Object.assign(this, makeNameForm(), makeBar(), makeStage())
    this.outbox = new Outbox(model, this.badge)
    this.help = new KeyHelp(model, () => this.termsChanged())
    this.grid = new Grid(this)
    this.keys = keyMap(model.terms)
    this.root.append(this.form, this.bar, this.stage, this.help.dialog)
    this.addTools()
    this.listen()
  }

  addTools() {
    const turn = () => this.turnConfidence()
    this.sure = button("", "Confidence of the next label (c)", turn)
    this.sure.classList.add("desk-sure")
    this.tools.append(
      this.accept,
      button("←", "Before", () => this.move(-1)),
      button("→", "Next", () => this.move(1)),
      button("Undo", "Undo (z)", () => this.put({do: "undo"})),
      button("Redo", "Redo (y)", () => this.put({do: "redo"})),
      this.sure,
      button("?", "Keys", () => this.help.dialog.showModal()),
    )
  }

  listen() {
    this.leave.addEventListener("click", () => {
      rememberName("")
      this.model.send_msg({do: "leave"})
    })
    for (const end of ["load", "error"]) {
      this.picture.addEventListener(end, () => this.picture.classList.remove("waiting"))
    }
    this.note.addEventListener("change", () => this.saveNote()) // however the field is left
    this.note.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.note.blur()
      if (event.key === "Escape") {
        this.note.value = this.here()?.[3].note ?? ""
        this.note.blur()
      }
    })
    this.form.addEventListener("submit", (event) => {
      event.preventDefault()
      this.model.send_msg({do: "name", name: this.field.value.trim()})
    })
  }

  // The galaxy on the screen.
  here() {
    return this.aside ?? this.items.get(this.cursor)
  }

  address(item) {
    return this.model.picture.replace("@row", item[0])
  }

  get gridded() {
    return this.model.way === "grid" && !this.aside
  }

  show() {
    const named = Boolean(this.model.annotator)
    const item = named ? this.here() : undefined
    this.stage.inert = !named // before there is a name: a picture of what is to come
    this.showFrame(item)
    this.sure.textContent = `Confidence: ${this.confidence || "not said"}`
    if (!named) {
      this.preview()
      return
    }
    this.root.dataset.way = this.gridded ? "grid" : "one"
    if (this.gridded) this.grid.show()
    else this.showGalaxy(item)
    this.showPicture(this.gridded ? undefined : item)
    if (this.note !== this.root.getRootNode().activeElement) {
      this.note.value = item?.[3].note ?? ""
    }
    const said = this.gridded ? {} : (item?.[3] ?? {})
    const chosen = this.gridded ? this.grid.chosen : ""
    for (const term of this.root.querySelectorAll(".term")) {
      const {aspect, label} = term.dataset
      term.setAttribute("aria-pressed", said[aspect] === label || chosen === label)
      term.disabled = !item
    }
    this.outbox.tell()
    this.fetchAhead()
  }

  // The desk as it will be, behind the question for a name.
  preview() {
    const {model} = this
    this.root.dataset.way = "one"
    this.title.textContent = "One key says the Hubble stage and brings the next galaxy"
    this.words.textContent =
      "Or accept a grid of 24 but for those you click, or let the queue learn from your labels " +
      "and ask for what it is least sure of."
    this.words.hidden = false
    this.showPicture([model.preview, "a galaxy"])
  }

  // Who labels, and how far the queue is done.
  showFrame(item) {
    const {model, total, cursor} = this
    const named = Boolean(model.annotator)
    this.form.hidden = named
    this.bar.hidden = !named
    this.name.textContent = `labelling as ${model.annotator}`
    this.leave.hidden = model.login
    this.origin.textContent = model.pictures_words
    this.root.dataset.galaxy = item ? item[1] : ""
    this.root.dataset.place = cursor
    const last = this.gridded ? this.grid.endOf(cursor) : cursor + 1
    const range = last > cursor + 1 ? `${cursor + 1}–${last}` : Math.min(cursor + 1, total)
    const place = `${range} of ${total.toLocaleString("en")}`
    this.place.textContent = total ? place : ""
    this.stage.classList.toggle("empty", named && !item)
  }

  showGalaxy(item) {
    const missing = this.cursor < this.total ? "Fetching …" : this.model.empty
    this.title.textContent = item ? item[1] : missing
    this.words.textContent = item && item[2] !== item[1] ? item[2] : ""
    this.words.hidden = !this.words.textContent
    this.predicted.textContent = item?.[4] ? `Predicted from your labels: ${item[4]}` : ""
  }

  showPicture(item) {
    const {picture} = this
    const address = item ? this.address(item) : ""
    if (picture.getAttribute("src") !== address) {
      picture.classList.add("waiting") // never the former picture over a new name
      if (address) picture.src = address
      else picture.removeAttribute("src")
    }
    picture.alt = item ? `${this.model.pictures_words} of ${item[1]}` : ""
  }

  // Held, so that the browser asks for each picture once even where it may not be cached.
  fetchPicture(address) {
    if (this.held.has(address)) return
    if (this.held.size >= HELD) this.held.delete(this.held.keys().next().value)
    const image = new Image()
    image.src = address
    this.held.set(address, image)
  }

  fetchAhead() {
    const {model, cursor} = this
    const ahead = this.gridded ? 2 * GRID : AHEAD
    for (let i = 1; i <= ahead; i++) {
      const next = this.items.get(cursor + i)
      if (next) this.fetchPicture(this.address(next))
    }
    let end = cursor
    while (this.items.has(end)) end++
    if (model.annotator && end < this.total && end - cursor < REFILL && this.asked !== end) {
      this.asked = end
      model.send_msg({do: "more", first: end - this.offset, serial: this.serial})
    }
    clearTimeout(this.idle)
    this.idle = setTimeout(() => {
      if (model.annotator) model.send_msg({do: "at", row: this.here()?.[0] ?? -1})
    }, IDLE_MS)
  }

  // The place of the galaxy, or of the first of the grid, so many steps on.
  placeAfter(by) {
    const {grid, cursor} = this
    if (this.aside) return cursor
    if (!this.gridded) {
      let next = cursor + by
      while (by > 0 && this.items.has(next) && grid.repeated(next)) next++
      return next
    }
    if (by > 0) return grid.endOf(cursor)
    return cursor > 0 ? grid.startOf(cursor - 1) : -1
  }

  move(by) {
    const next = this.placeAfter(by)
    if (next < 0 || next > this.total || (next < this.total && !this.items.has(next))) return
    this.aside = null
    this.cursor = next
    this.confidence = ""
    this.message.textContent = ""
    this.show()
  }

  // A change: on the screen at once, and on its way to the disk.
  put(change) {
    this.putAll([change])
  }

  putAll(changes) {
    this.message.textContent = ""
    this.outbox.put(...changes)
  }

  answered(answer) {
    if (!this.outbox.settle(answer)) return
    const {said, refused} = answer
    const pending = new Set(this.outbox.items.map((item) => item.galaxy))
    for (const item of [...this.items.values(), ...(this.aside ? [this.aside] : [])]) {
      if (item[1] in said && !pending.has(item[1])) item[3] = said[item[1]]
    }
    for (const reason of Object.values(refused)) this.message.textContent = reason
    if (answer.show) this.goBack(answer.show)
    else this.show()
  }

  // To the galaxy whose label was undone: where it stands, or aside of the queue.
  goBack(item) {
    const found = [...this.items].find(([, other]) => other[1] === item[1])
    const grid = this.model.way === "grid"
    this.aside = found ? null : item
    if (found) this.cursor = grid ? this.grid.startOf(found[0]) : found[0]
    this.show()
  }

  assign(term) {
    if (this.gridded) {
      this.grid.choose(term)
      return
    }
    const item = this.here()
    if (!item) return
    const before = item[3][term.aspect]
    const label = term.kind !== "stage" && before === term.label ? "" : term.label
    const {confidence} = this
    const prediction = item[4]
    this.put({do: "set", galaxy: item[1], aspect: term.aspect, label, confidence, prediction})
    item[3] = {...item[3], [term.aspect]: label}
    if (term.kind === "feature" || !label) this.show()
    else this.move(1)
  }

  clearStage() {
    const item = this.here()
    if (this.gridded || !item?.[3].stage) return
    this.put({do: "set", galaxy: item[1], aspect: "stage", label: ""})
    item[3] = {...item[3], stage: ""}
    this.show()
  }

  turnConfidence() {
    const place = CONFIDENCES.indexOf(this.confidence) + 1
    this.confidence = CONFIDENCES[place % CONFIDENCES.length]
    this.show()
  }

  saveNote() {
    const item = this.here()
    const text = this.note.value.trim()
    if (!item || text === (item[3].note ?? "")) return
    this.put({do: "set", galaxy: item[1], aspect: "note", label: "", note: text})
    item[3] = {...item[3], note: text}
    this.show()
  }

  // Whether a key is meant for the desk: it is seen, and nothing else takes the key.
  hears(event) {
    const {root, model} = this
    if (!root.isConnected || !root.checkVisibility() || !model.annotator) return false
    const taken = event.defaultPrevented || event.altKey || this.help.dialog.open
    return !taken && !within(event, TYPING)
  }

  pressed(event) {
    if (!this.hears(event)) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (event.ctrlKey || event.metaKey) {
      this.stepBack(event, key)
      return
    }
    const arrow = key === "ArrowRight" || key === "ArrowLeft"
    if (arrow && within(event, OWN_ARROWS)) return
    const act = key === "Enter" ? this.acceptOf(event) : this.actionOf(key)
    if (!act) return
    event.preventDefault()
    if (!event.repeat || arrow) act() // a key held down must not label galaxy after galaxy
  }

  stepBack(event, key) {
    if (key !== "z" && key !== "y") return
    event.preventDefault()
    this.put({do: key === "y" || event.shiftKey ? "redo" : "undo"})
  }

  // Enter labels the grid, unless it is meant for another button.
  acceptOf(event) {
    const [target] = event.composedPath()
    const other = target.closest?.("button, a, summary, [tabindex], [role=button]")
    return this.gridded && (!other || other.matches(".desk-tile")) && (() => this.grid.accept())
  }

  actionOf(key) {
    const single = {
      Backspace: () => this.clearStage(),
      Delete: () => this.clearStage(),
      c: () => this.turnConfidence(),
      n: () => this.note.focus(),
    }[key]
    if (single) return !this.gridded && single
    const own = {
      ArrowRight: () => this.move(1),
      ArrowLeft: () => this.move(-1),
      z: () => this.put({do: "undo"}),
      y: () => this.put({do: "redo"}),
      "?": () => this.help.dialog.showModal(),
    }[key]
    if (own) return own
    const term = this.model.terms.find((one) => this.keys[one.label].toLowerCase() === key)
    return term && (() => this.assign(term))
  }

  makeTerm(term) {
    const made = element("button", `term ${term.kind}`)
    made.dataset.label = term.label
    made.dataset.aspect = term.aspect
    if (term.colour) made.style.setProperty("--term", term.colour)
    made.append(element("kbd", "", this.keys[term.label]), element("span", "", term.words))
    if (term.note) made.append(element("small", "", term.note))
    made.addEventListener("click", () => {
      this.assign(term)
      made.blur()
    })
    return made
  }

  drawTerms() {
    this.keys = keyMap(this.model.terms)
    const terms = this.model.terms.map((term) => [term.kind === "stage", this.makeTerm(term)])
    const made = (staged) => terms.filter(([one]) => one === staged).map(([, node]) => node)
    this.stages.replaceChildren(...made(true))
    this.features.replaceChildren(...made(false))
    this.help.draw(this.keys)
  }

  termsChanged() {
    this.drawTerms()
    this.show()
  }

  named() {
    const {annotator, login} = this.model
    if (annotator) {
      this.field.blur() // what is hidden may keep the keyboard until the next frame
      if (!login) rememberName(annotator)
      this.outbox.send() // what a page that was left had not stored
    }
    this.show()
  }

  filled() {
    const {window} = this.model
    if (window.serial !== this.serial) {
      this.serial = window.serial
      this.items = new Map()
      this.aside = null
      this.cursor = window.cursor
      this.offset = 0
      this.grid.anchor(window.cursor)
    }
    this.asked = -1
    this.total = this.offset + window.total
    const first = this.offset + window.first
    for (const [i, item] of window.items.entries()) this.items.set(first + i, item)
    this.show()
  }

  // What is on the screen stays, so that no key meets another galaxy than the one it was meant
  // for; what comes after it is asked for anew, and is another queue where the order has moved.
  askAnew({serial, moved, total}) {
    const end = this.model.way === "grid" ? this.grid.endOf(this.cursor) : this.cursor + 1
    const after = Math.min(end, this.total)
    for (const place of [...this.items.keys()]) if (place >= after) this.items.delete(place)
    if (moved) {
      this.grid.reordered(after)
      this.offset = after
      this.total = after + total
    }
    this.serial = serial
    this.asked = -1
    this.show()
  }

  wayChanged() {
    this.grid.anchor(this.cursor)
    this.show()
  }

  heard(data) {
    if (data.saved) this.answered(data)
    if (data.anew) this.askAnew(data.anew)
    if (data.name_error !== undefined) this.error.textContent = data.name_error
  }

  stop() {
    clearTimeout(this.idle)
    clearTimeout(this.outbox.retry)
  }
}

export function render({model}) {
  const desk = new Desk(model)
  const pressed = (event) => desk.pressed(event)
  const warn = (event) => {
    if (desk.outbox.items.length) event.preventDefault()
  }
  document.addEventListener("keydown", pressed)
  addEventListener("beforeunload", warn)
  model.on("msg:custom", (data) => desk.heard(data))
  model.on("annotator", () => desk.named())
  model.on("window", () => desk.filled())
  drawOnChange(model, ["picture", "pictures_words", "empty"], () => desk.show())
  drawOnChange(model, ["terms"], () => desk.termsChanged())
  drawOnChange(model, ["way"], () => desk.wayChanged())
  model.on("remove", () => {
    document.removeEventListener("keydown", pressed)
    removeEventListener("beforeunload", warn)
    desk.stop()
  })
  desk.drawTerms()
  desk.filled()
  desk.named()
  const before = rememberedName()
  if (!model.annotator && before) model.send_msg({do: "name", name: before})
  return desk.root
}
