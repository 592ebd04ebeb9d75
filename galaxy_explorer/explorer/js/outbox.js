// What an annotator has done and the server has not yet stored.

const RETRY_MS = 2500
const OUTBOX = "galaxy-explorer-outbox"

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

// The annotator's name, asked once.
function rememberedName() {
  return remembered(localStorage, "galaxy-explorer-name", "")
}

function rememberName(name) {
  remember(localStorage, "galaxy-explorer-name", name)
}

function newId() {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`
}

// Changes on their way to the disk: to the server one parcel after the other, kept in the browser
// until it has said that they are stored.
class Outbox {
  constructor(model, badge) {
    this.model = model
    this.badge = badge
    this.left = remembered(sessionStorage, OUTBOX, null) // what a page that was left had not stored
    this.items = []
    this.flying = []
    this.failure = ""
    this.stored = 0
    this.retry = undefined
  }

  // Changes that belong together leave in one parcel, unless another one is on its way.
  put(...changes) {
    this.items.push(...changes.map((change) => ({event_id: newId(), ...change})))
    this.keep()
    this.send()
    this.tell()
  }

  keep() {
    remember(sessionStorage, OUTBOX, {name: this.model.annotator, items: this.items})
  }

  send() {
    if (this.flying.length || !this.items.length || !this.model.annotator) return
    this.flying = this.items.slice(0, 200)
    this.model.send_msg({do: "save", items: this.flying})
    clearTimeout(this.retry)
    this.retry = setTimeout(() => {
      this.flying = []
      this.send()
    }, RETRY_MS)
  }

  // Takes out what was stored or refused; false for the answer to a parcel that was sent twice.
  settle({saved, refused, failed}) {
    const settled = new Set([...saved, ...Object.keys(refused)])
    const waiting = this.items.filter((item) => !settled.has(item.event_id))
    if (waiting.length === this.items.length && !failed) return false
    this.stored += this.items.filter((item) => saved.includes(item.event_id)).length
    this.items = waiting
    this.keep()
    this.failure = failed
    clearTimeout(this.retry)
    this.flying = []
    if (failed) this.retry = setTimeout(() => this.send(), RETRY_MS)
    else this.send()
    return true
  }

  // Takes up what the same annotator had not stored when the page was left.
  adopt(annotator) {
    if (this.left?.name === annotator) this.items = [...this.left.items, ...this.items]
    this.left = null
    this.send()
  }

  state() {
    if (this.failure) return "failed"
    if (this.items.length) return "saving"
    return this.stored ? "saved" : "idle"
  }

  tell() {
    const waiting = this.items.length
    const state = this.state()
    this.badge.dataset.state = state
    this.badge.dataset.saved = this.stored
    this.badge.textContent = {
      failed: `Not saved: ${this.failure} · ${waiting} waiting, trying again`,
      saving: `Saving ${waiting} …`,
      saved: `Saved · ${this.stored.toLocaleString("en")} in this visit`,
      idle: "",
    }[state]
  }
}
