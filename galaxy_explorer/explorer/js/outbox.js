// What an annotator has done and the server has not yet stored.

const RETRY_MS = 2500
const UNSAVED = "galaxy-explorer-unsaved"

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
// until it has said that they are stored. Each is its annotator's, whoever labels here later.
class Outbox {
  constructor(model, badge) {
    this.model = model
    this.badge = badge
    this.items = remembered(sessionStorage, UNSAVED, []) // what a page that was left had not stored
    this.flying = []
    this.failure = ""
    this.stored = 0
    this.retry = undefined
  }

  // Changes that belong together leave in one parcel, unless another one is on its way.
  put(...changes) {
    const {annotator} = this.model
    this.items.push(...changes.map((change) => ({event_id: newId(), annotator, ...change})))
    this.keep()
    this.send()
    this.tell()
  }

  keep() {
    remember(sessionStorage, UNSAVED, this.items)
  }

  send() {
    if (this.flying.length || !this.items.length) return
    const {annotator} = this.items[0]
    const end = this.items.findIndex((item) => item.annotator !== annotator)
    this.flying = this.items.slice(0, end < 0 ? 200 : Math.min(end, 200))
    this.model.send_msg({do: "save", annotator, items: this.flying})
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
