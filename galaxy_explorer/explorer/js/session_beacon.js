// The page's tie to its place on the server. Leaving frees the place at once. After a dropped
// connection Bokeh would draw the page anew from what the server knows: what was typed meanwhile
// would be gone. Here the page stays as it is, and what it had to say is said on coming back.

// What Panel's frame around the pages leaves without a name for screen readers gets one.
function nameFrame(frame) {
  const title = frame.querySelector(".title")
  title?.setAttribute("role", "heading")
  title?.setAttribute("aria-level", "1")
  for (const spacer of frame.querySelectorAll("h5")) {
    if (!spacer.textContent.trim()) spacer.setAttribute("aria-hidden", "true")
  }
}

// The theme is the visitor's choice, else that of the system; a cookie tells the server, so that the
// next page comes in it. "system-light" is what was the system's.
const THEME = "galaxy-explorer-theme"
function followTheme(root) {
  const light = matchMedia("(prefers-color-scheme: light)")
  const cookie = document.cookie.match(new RegExp(`${THEME}=([a-z-]+)`))?.[1] ?? ""
  let chosen = cookie.startsWith("system") ? "" : cookie
  let own = false
  const keep = () => {
    const theme = chosen || `system-${light.matches ? "light" : "dark"}`
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in all browsers
    document.cookie = `${THEME}=${theme}; path=/; max-age=31536000; samesite=lax`
    document.documentElement.dataset.shade = theme.replace("system-", "")
  }
  const follow = () => {
    keep()
    own = true
    if (!chosen) root.data.dark_theme = !light.matches
    own = false
  }
  root.data.properties.dark_theme.change.connect(() => {
    if (!own) chosen = root.data.dark_theme ? "dark" : "light"
    keep()
  })
  light.addEventListener("change", follow)
  follow()
}

const RETRY_MS = 2000

export function render({model, view}) {
  const {document: page} = view.model
  const waiting = []
  let connection = null
  let away = false

  // Before the server has greeted and shown its state it takes nothing else.
  const speak = (message) => {
    if (away && message.msgtype() !== "PULL-DOC-REQ") waiting.push(message)
    else message.send(connection.socket)
  }
  page.on_event("connection_lost", (_, event) => {
    away = true
    connection = event.connection.deref()
    connection.send = speak
    // Where the page changes in the moment of coming back, the server's first word is not the one
    // that Bokeh waits for: it ends the connection with a number that no browser takes.
    connection._close_bad_protocol = () => connection.socket?.close()
  })
  page.replace_with_json = (json) => {
    // A server that was started anew knows nothing of this page.
    if (!JSON.stringify(json).includes(model.visit)) return location.reload()
    away = false
    waiting.splice(0).forEach(speak)
    model.send_msg({back: true})
  }

  // Bokeh tries again for a while only, and takes a socket that a policy of the browser refuses,
  // which ends without a word, for open for ever.
  const retry = () => {
    if (connection?.socket?.readyState === WebSocket.CLOSED) connection.socket = null
    if (connection && !connection.socket && !document.hidden) connection.reconnect()
  }
  const retrying = setInterval(() => away && retry(), RETRY_MS)
  const leave = (event) => {
    if (!event.persisted) model.send_msg({left: true})
  }
  addEventListener("online", retry)
  addEventListener("pagehide", leave)
  document.addEventListener("visibilitychange", retry)
  model.on("remove", () => {
    clearInterval(retrying)
    removeEventListener("online", retry)
    removeEventListener("pagehide", leave)
    document.removeEventListener("visibilitychange", retry)
  })
  const frame = document.querySelector(".bk-panel-models-esm-ReactComponent")
  requestAnimationFrame(() => nameFrame(frame.shadowRoot))
  const root = page.roots().find((one) => one.data?.properties?.theme_toggle)
  if (root) followTheme(root)
  const heading = element("h2", "")
  heading.style =
    "position: absolute; width: 1px; overflow: hidden; clip-path: inset(50%); margin: 0"
  drawOnChange(model, ["heading"], () => {
    heading.textContent = model.heading
  })
  heading.textContent = model.heading
  return heading
}
