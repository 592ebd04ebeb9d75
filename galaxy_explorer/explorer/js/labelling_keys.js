// Keys of the labelling desk: those of the page, those of the terms, and the visitor's own.

const KEYS = "galaxy-explorer-keys"
const PAGE_KEYS = [
  ["→", "next galaxy"],
  ["←", "galaxy before"],
  ["z", "undo (also Ctrl+Z)"],
  ["y", "redo (also Ctrl+Y)"],
  ["⌫", "take the stage away"],
  ["c", "confidence of the next label"],
  ["n", "write a note; leaving the field stores it, Esc does not"],
  ["Enter", "in a grid: label all but those left out"],
  ["Space", "in a grid: leave a galaxy out, or take it in"],
  ["?", "these keys"],
]
const RESERVED = new Set(["?", "n", "c", "z", "y", " ", "/"])

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

function button(sign, words, action) {
  const made = element("button", "plain-button", sign)
  made.title = words
  made.setAttribute("aria-label", words)
  made.addEventListener("click", () => {
    action()
    made.blur()
  })
  return made
}

function alertLine() {
  const line = element("p", "desk-error", "", {role: "alert"})
  return line
}

// The list of keys, in which the visitor may change those of the terms.
class KeyHelp {
  constructor(model, changed) {
    this.model = model
    this.changed = changed
    this.dialog = element("dialog", "desk-help")
    this.dialog.setAttribute("aria-label", "Keys")
  }

  draw(keys) {
    this.keys = keys
    this.refusal = alertLine()
    const list = element("dl", "desk-keys")
    for (const [key, meaning] of PAGE_KEYS) {
      list.append(element("dt", "", key), element("dd", "", meaning))
    }
    for (const term of this.model.terms) {
      const line = element("dd", "", `${term.words} `)
      const change = element("button", "plain-button small", "change")
      change.setAttribute("aria-label", `Change the key of ${term.words}`)
      change.addEventListener("click", () => this.listen(term, change))
      line.append(change)
      list.append(element("dt", "", keys[term.label]), line)
    }
    const close = element("button", "plain-button", "Close")
    close.addEventListener("click", () => this.dialog.close())
    this.dialog.replaceChildren(element("h2", "", "Keys"), list, this.refusal, close)
  }

  listen(term, change) {
    change.textContent = "press a key …"
    const take = (event) => {
      event.preventDefault()
      event.stopPropagation()
      change.textContent = "change"
      if (event.key !== "Escape") this.take(term, event.key, change.ariaLabel)
    }
    change.addEventListener("keydown", take, {once: true})
  }

  take(term, key, label) {
    const reason = collision(this.keys, term.label, key)
    this.refusal.textContent = reason
    if (reason) return
    remember(localStorage, KEYS, {...remembered(localStorage, KEYS, {}), [term.label]: key})
    this.changed()
    this.dialog.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus()
  }
}
