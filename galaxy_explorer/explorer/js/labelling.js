// The labelling desk: one galaxy large, keys that assign and advance, a badge that says what is
// stored. Every change carries the identifier of the galaxy that was on the screen and an
// identifier of its own; it stays in the outbox until the server has said that it is on the disk.

const RETRY_MS = 2500
const IDLE_MS = 250
const AHEAD = 6
const HELD = 30
const REFILL = 60
const CONFIDENCES = ["", "low", "medium", "high"]
const OUTBOX = "galaxy-explorer-outbox"
const KEYS = "galaxy-explorer-keys"
const NAME = "galaxy-explorer-name"
const PAGE_KEYS = [
  ["→", "next galaxy"], ["←", "galaxy before"], ["z", "undo (also Ctrl+Z)"],
  ["y", "redo (also Ctrl+Y)"], ["⌫", "take the stage away"], ["c", "confidence of the next label"],
  ["n", "write a note; Enter stores it, Esc leaves it"], ["?", "these keys"],
]
const RESERVED = new Set(["?", "n", "c", "z", "y", " ", "/"])
const TYPING = 'input:not([type="checkbox"], [type="radio"]), textarea, select, dialog[open], '
  + '[contenteditable="true"], [role="combobox"][aria-expanded="true"], '
  + '[role="listbox"], [role="option"], [role="menu"], [role="dialog"], [role="textbox"]'
const OWN_ARROWS = '[role="radiogroup"], [role="group"], [role="tablist"], [role="slider"], '
  + '[role="toolbar"]'

function remembered(storage, name, otherwise) {
  try {
    return JSON.parse(storage.getItem(name)) ?? otherwise
  } catch {
    return otherwise
  }
}

// Storage may be full or forbidden; what is on the screen still works without it.
function remember(storage, name, value) {
  try {
    storage.setItem(name, JSON.stringify(value))
  } catch (error) {
    console.warn(`not remembered: ${error}`)
  }
}

function within(event, selector) {
  return event.composedPath().some((node) => node instanceof Element && node.matches(selector))
}

// Key of each term: the visitor's own where it does not collide, else the vocabulary's.
function keyMap(terms) {
  const own = remembered(localStorage, KEYS, {})
  const keys = Object.fromEntries(terms.map((term) => [term.label, term.key]))
  for (const [label, key] of Object.entries(own)) {
    if (label in keys && !collision(keys, label, key)) keys[label] = key
  }
  return keys
}

function collision(keys, label, key) {
  const small = String(key).toLowerCase()
  if ([...small].length !== 1 || RESERVED.has(small)) {
    return `“${key}” is a key of the page; choose another`
  }
  const same = (other) => other !== label && keys[other].toLowerCase() === small
  const taken = Object.keys(keys).find(same)
  return taken === undefined ? "" : `“${key}” already assigns ${taken}; choose another`
}

export function render({model}) {
  const root = element("section", "desk")
  root.setAttribute("aria-label", "Labelling desk")
  let items = new Map()
  let total = 0
  let serial = -1
  let cursor = 0
  let confidence = ""
  let keys = keyMap(model.terms)
  let left = remembered(sessionStorage, OUTBOX, null)  // what a page that was left had not stored
  let outbox = []
  let aside = null
  let flying = []
  let failure = ""
  let stored = 0
  let asked = -1
  const timers = {}
  const held = new Map()

  // What is on the page.
  const who = element("form", "desk-name")
  const nameField = element("input", "")
  nameField.setAttribute("aria-label", "Your name")
  nameField.maxLength = 60
  nameField.placeholder = "Your name"
  const nameButton = element("button", "desk-button", "Start labelling")
  const nameError = element("p", "desk-error")
  nameError.setAttribute("role", "alert")
  const nameWords = element("label", "", "Who labels? Each name has a layer of labels of its own.")
  who.append(nameWords, nameField, nameButton, nameError)

  const bar = element("div", "desk-bar")
  const place = element("span", "desk-place")
  const name = element("span", "desk-who")
  const leave = element("button", "desk-button small", "change name")
  leave.addEventListener("click", () => {
    remember(localStorage, NAME, "")
    model.send_msg({do: "leave"})
  })
  const badge = element("span", "desk-badge")
  badge.setAttribute("role", "status")
  bar.append(place, name, leave, badge)
  const frame = element("figure", "desk-frame")
  const picture = element("img", "desk-picture")
  const origin = element("figcaption", "desk-words")
  frame.append(picture, origin)
  const title = element("h2", "desk-title")
  const words = element("p", "desk-words")
  const stages = element("div", "desk-terms stages")
  const features = element("div", "desk-terms")
  const message = element("p", "desk-error")
  message.setAttribute("role", "alert")
  const note = element("input", "desk-note")
  note.setAttribute("aria-label", "Note on this galaxy")
  note.placeholder = "Note (n)"
  note.maxLength = 500
  const tools = element("div", "desk-tools")
  const tool = (sign, words, action) => {
    const button = element("button", "desk-button", sign)
    button.title = words
    button.setAttribute("aria-label", words)
    button.addEventListener("click", () => { action(); button.blur() })
    tools.append(button)
    return button
  }
  tool("←", "Galaxy before", () => move(-1))
  tool("→", "Next galaxy", () => move(1))
  tool("Undo", "Undo (z)", () => step("undo"))
  tool("Redo", "Redo (y)", () => step("redo"))
  const sure = tool("", "Confidence of the next label (c)", () => turnConfidence())
  tool("?", "Keys", () => help.showModal())
  const stage = element("div", "desk-stage")
  const side = element("div", "desk-side")
  side.append(title, words, stages, features, note, tools, message)
  stage.append(frame, side)
  const help = element("dialog", "desk-help")
  help.setAttribute("aria-label", "Keys")
  root.append(who, bar, stage, help)

  // The galaxy on the screen: [row, identifier, caption, what I said].
  const here = () => aside ?? items.get(cursor)
  const tile = (item) => model.picture.replace("@row", item[0])

  function show() {
    const named = Boolean(model.annotator)
    who.hidden = named
    bar.hidden = stage.hidden = !named
    name.textContent = `labelling as ${model.annotator}`
    leave.hidden = model.login
    origin.textContent = model.pictures_words
    const item = here()
    root.dataset.galaxy = item ? item[1] : ""
    root.dataset.place = cursor
    place.textContent = total ? `${Math.min(cursor + 1, total)} of ${total.toLocaleString("en")}` : ""
    stage.classList.toggle("empty", !item)
    title.textContent = item ? item[1] : cursor < total ? "Fetching …" : model.empty
    words.textContent = item && item[2] !== item[1] ? item[2] : ""
    words.hidden = !words.textContent
    const address = item ? tile(item) : ""
    if (picture.getAttribute("src") !== address) {
      picture.classList.add("waiting")  // never the former picture over a new name
      if (address) picture.src = address
      else picture.removeAttribute("src")
    }
    picture.alt = item ? `${model.pictures_words} of ${item[1]}` : ""
    if (note !== root.getRootNode().activeElement) note.value = item?.[3].note ?? ""
    sure.textContent = `Confidence: ${confidence || "not said"}`
    for (const button of root.querySelectorAll(".term")) {
      const said = item?.[3] ?? {}
      button.setAttribute("aria-pressed", said[button.dataset.aspect] === button.dataset.label)
      button.disabled = !item
    }
    tellBadge()
    fetchAhead()
  }
  picture.addEventListener("load", () => picture.classList.remove("waiting"))

  function tellBadge() {
    const waiting = outbox.length
    const state = failure ? "failed" : waiting ? "saving" : stored ? "saved" : "idle"
    badge.dataset.state = state
    badge.dataset.saved = stored
    badge.textContent = {
      failed: `Not saved: ${failure} · ${waiting} waiting, trying again`,
      saving: `Saving ${waiting} …`,
      saved: `Saved · ${stored.toLocaleString("en")} in this visit`,
      idle: "",
    }[state]
  }

  // Held, so that the browser asks for each picture once even where it may not be cached.
  function fetchPicture(address) {
    if (held.has(address)) return
    if (held.size >= HELD) held.delete(held.keys().next().value)
    const image = new Image()
    image.src = address
    held.set(address, image)
  }

  function fetchAhead() {
    for (let i = 1; i <= AHEAD; i++) {
      const next = items.get(cursor + i)
      if (next) fetchPicture(tile(next))
    }
    let end = cursor
    while (items.has(end)) end++
    if (model.annotator && end < total && end - cursor < REFILL && asked !== end) {
      asked = end
      model.send_msg({do: "more", first: end, serial})
    }
    clearTimeout(timers.idle)
    timers.idle = setTimeout(() => {
      if (model.annotator) model.send_msg({do: "at", row: here()?.[0] ?? -1})
    }, IDLE_MS)
  }

  function move(by) {
    const next = aside ? cursor : cursor + by
    if (next < 0 || next > total || (next < total && !items.has(next))) return
    aside = null
    cursor = next
    confidence = ""
    message.textContent = ""
    show()
  }

  // Changes: into the outbox, on the screen at once, to the server one parcel after the other.
  function put(change) {
    outbox.push({event_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, ...change})
    remember(sessionStorage, OUTBOX, {name: model.annotator, items: outbox})
    message.textContent = ""
    send()
    tellBadge()
  }

  function send() {
    if (flying.length || !outbox.length || !model.annotator) return
    flying = outbox.slice(0, 200)
    model.send_msg({do: "save", items: flying})
    clearTimeout(timers.retry)
    timers.retry = setTimeout(() => { flying = []; send() }, RETRY_MS)
  }

  function answered({saved, refused, failed, said, show: goto}) {
    const settled = new Set([...saved, ...Object.keys(refused)])
    const waiting = outbox.filter((item) => !settled.has(item.event_id))
    if (waiting.length === outbox.length && !failed) return  // the answer to a parcel sent twice
    stored += outbox.filter((item) => saved.includes(item.event_id)).length
    outbox = waiting
    remember(sessionStorage, OUTBOX, {name: model.annotator, items: outbox})
    failure = failed
    clearTimeout(timers.retry)
    flying = []
    if (failed) timers.retry = setTimeout(send, RETRY_MS)
    else send()
    const pending = new Set(outbox.map((item) => item.galaxy))
    for (const item of [...items.values(), ...(aside ? [aside] : [])]) {
      if (item[1] in said && !pending.has(item[1])) item[3] = said[item[1]]
    }
    for (const reason of Object.values(refused)) message.textContent = reason
    if (goto) goBack(goto)
    else show()
  }

  // To the galaxy whose label was undone: where it stands, or aside of the queue.
  function goBack(item) {
    const found = [...items].find(([, other]) => other[1] === item[1])
    aside = found ? null : item
    if (found) cursor = found[0]
    show()
  }

  function assign(term) {
    const item = here()
    if (!item) return
    const before = item[3][term.aspect]
    const label = term.kind !== "stage" && before === term.label ? "" : term.label
    put({do: "set", galaxy: item[1], aspect: term.aspect, label, confidence})
    item[3] = {...item[3], [term.aspect]: label}
    if (term.kind === "feature" || !label) show()
    else move(1)
  }

  function clearStage() {
    const item = here()
    if (!item?.[3].stage) return
    put({do: "set", galaxy: item[1], aspect: "stage", label: ""})
    item[3] = {...item[3], stage: ""}
    show()
  }

  function step(way) {
    put({do: way})
  }

  function turnConfidence() {
    confidence = CONFIDENCES[(CONFIDENCES.indexOf(confidence) + 1) % CONFIDENCES.length]
    show()
  }

  function saveNote() {
    const item = here()
    const text = note.value.trim()
    note.blur()
    if (!item || text === (item[3].note ?? "")) return
    put({do: "set", galaxy: item[1], aspect: "note", label: "", note: text})
    item[3] = {...item[3], note: text}
    show()
  }
  note.addEventListener("keydown", (event) => {
    if (event.key === "Enter") saveNote()
    if (event.key === "Escape") {
      note.value = here()?.[3].note ?? ""
      note.blur()
    }
  })

  function pressed(event) {
    if (!root.isConnected || !root.checkVisibility() || !model.annotator) return
    if (event.defaultPrevented || event.altKey || help.open || within(event, TYPING)) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" && key !== "y") return
      event.preventDefault()
      step(key === "y" || event.shiftKey ? "redo" : "undo")
      return
    }
    const arrow = key === "ArrowRight" || key === "ArrowLeft"
    if (arrow && within(event, OWN_ARROWS)) return
    const act = {
      ArrowRight: () => move(1), ArrowLeft: () => move(-1), Backspace: clearStage,
      Delete: clearStage, z: () => step("undo"), y: () => step("redo"), c: turnConfidence,
      n: () => note.focus(), "?": () => help.showModal(),
    }[key] ?? termAction(key)
    if (!act) return
    event.preventDefault()
    if (!event.repeat || arrow) act()  // a key held down must not label galaxy after galaxy
  }

  function termAction(key) {
    const term = model.terms.find((one) => keys[one.label].toLowerCase() === key)
    return term && (() => assign(term))
  }

  // Buttons of the terms and the list of keys.
  function drawTerms() {
    keys = keyMap(model.terms)
    const button = (term) => {
      const made = element("button", `term ${term.kind}`)
      made.dataset.label = term.label
      made.dataset.aspect = term.aspect
      if (term.colour) made.style.setProperty("--term", term.colour)
      made.append(element("kbd", "", keys[term.label]), element("span", "", term.words))
      if (term.note) made.append(element("small", "", term.note))
      made.addEventListener("click", () => { assign(term); made.blur() })
      return made
    }
    const staged = model.terms.filter((term) => term.kind === "stage")
    stages.replaceChildren(...staged.map(button))
    features.replaceChildren(...model.terms.filter((t) => t.kind !== "stage").map(button))
    drawHelp()
  }

  function drawHelp() {
    const list = element("dl", "desk-keys")
    for (const [key, meaning] of PAGE_KEYS) {
      list.append(element("dt", "", key), element("dd", "", meaning))
    }
    const refusal = element("p", "desk-error")
    refusal.setAttribute("role", "alert")
    for (const term of model.terms) {
      const line = element("dd", "", `${term.words} `)
      const change = element("button", "desk-button small", "change")
      change.setAttribute("aria-label", `Change the key of ${term.words}`)
      change.addEventListener("click", () => listen(term, change, refusal))
      line.append(change)
      list.append(element("dt", "", keys[term.label]), line)
    }
    const close = element("button", "desk-button", "Close")
    close.addEventListener("click", () => help.close())
    help.replaceChildren(element("h2", "", "Keys"), list, refusal, close)
  }

  function listen(term, button, refusal) {
    button.textContent = "press a key …"
    button.addEventListener("keydown", (event) => {
      event.preventDefault()
      event.stopPropagation()
      button.textContent = "change"
      if (event.key === "Escape") return
      const reason = collision(keys, term.label, event.key)
      refusal.textContent = reason
      if (reason) return
      remember(localStorage, KEYS, {...remembered(localStorage, KEYS, {}), [term.label]: event.key})
      drawTerms()
      show()
      help.querySelector(`[aria-label="${CSS.escape(button.ariaLabel)}"]`)?.focus()
    }, {once: true})
  }

  // Who labels.
  who.addEventListener("submit", (event) => {
    event.preventDefault()
    model.send_msg({do: "name", name: nameField.value.trim()})
  })
  function named() {
    if (!model.annotator) return show()
    nameField.blur()  // what is hidden may keep the keyboard until the next frame
    if (!model.login) remember(localStorage, NAME, model.annotator)
    if (left?.name === model.annotator) outbox = [...left.items, ...outbox]
    left = null
    send()
    show()
  }

  function filled() {
    const window = model.window
    if (window.serial !== serial) {
      serial = window.serial
      items = new Map()
      aside = null
      cursor = window.cursor
    }
    asked = -1
    total = window.total
    window.items.forEach((item, i) => items.set(window.first + i, item))
    show()
  }

  function heard(data) {
    if (data.saved) answered(data)
    if (data.name_error !== undefined) nameError.textContent = data.name_error
  }

  const warn = (event) => { if (outbox.length) event.preventDefault() }
  document.addEventListener("keydown", pressed)
  addEventListener("beforeunload", warn)
  model.on("msg:custom", heard)
  model.on("annotator", named)
  model.on("window", filled)
  drawOnChange(model, ["picture", "pictures_words", "empty"], show)
  drawOnChange(model, ["terms"], () => { drawTerms(); show() })
  model.on("remove", () => {
    document.removeEventListener("keydown", pressed)
    removeEventListener("beforeunload", warn)
    Object.values(timers).forEach(clearTimeout)
  })
  drawTerms()
  filled()
  named()
  const before = remembered(localStorage, NAME, "")
  if (!model.annotator && before) model.send_msg({do: "name", name: before})
  return root
}
