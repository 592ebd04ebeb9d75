// The pages in the header: links, and a menu of those behind the map; and the address bar, which
// always says what is on the screen.
const WAIT_MS = 250

function addMenuKeys(nav, button, links, menu, open) {
  nav.addEventListener("keydown", (event) => {
    const inMenu = menu.contains(event.target)
    if (event.key === "Escape" && !menu.hidden) {
      event.preventDefault()
      open(false)
      button.focus()
    }
    if (event.target === button && event.key === "ArrowDown") open(true)
    const near = inMenu || (event.target === button && !menu.hidden) ? menu : links
    const all = [...near.children].filter((one) => one.checkVisibility())
    const here = all.indexOf(event.target)
    const by = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1}[event.key]
    const next = by ? all[here + by] : {Home: all[0], End: all.at(-1)}[event.key]
    if (!next) return
    event.preventDefault()
    next.focus()
  })
}

// Another page is a step that the browser's Back button takes back; all else replaces.
function keepAddress(model) {
  let timer
  const write = () => {
    const now = new URLSearchParams(location.search)
    const next = new URLSearchParams(model.address)
    if (now.has("view")) next.set("view", now.get("view"))
    if (`?${next}` === location.search || !model.address) return
    const turned = now.has("page") && now.get("page") !== next.get("page")
    history[turned ? "pushState" : "replaceState"](null, "", `?${next}`)
  }
  const writeSoon = () => {
    clearTimeout(timer)
    timer = setTimeout(write, WAIT_MS)
  }
  const back = () => {
    const page = new URLSearchParams(location.search).get("page")
    if (model.entries.some(([name]) => name === page)) model.page = page
  }
  addEventListener("popstate", back)
  model.on("remove", () => removeEventListener("popstate", back))
  model.on("address", writeSoon)
  writeSoon()
}

export function render({model}) {
  const nav = element("nav", "pages", "", {"aria-label": "Pages"})
  const links = element("div", "links")
  const button = element("button", "opener")
  const menu = element("div", "menu", "", {id: "behind-the-map"})
  button.setAttribute("aria-controls", menu.id)
  button.append(element("span", "wide", "Behind the map"), element("span", "narrow", "Menu"))
  menu.hidden = true
  nav.append(links, button, menu)

  const link = ([name, title, behind]) => {
    const made = element("a", behind ? "behind" : "front", title)
    made.href = `?page=${encodeURIComponent(name)}`
    made.dataset.page = name
    return made
  }
  const open = (wanted) => {
    menu.hidden = !wanted
    button.setAttribute("aria-expanded", String(wanted))
  }
  const mark = () => {
    for (const one of [...links.children, ...menu.children]) {
      if (one.dataset.page === model.page) one.setAttribute("aria-current", "page")
      else one.removeAttribute("aria-current")
    }
    const inside = model.entries.some(([name, , behind]) => behind && name === model.page)
    button.classList.toggle("current", inside)
  }
  const draw = () => {
    links.replaceChildren(...model.entries.filter(([, , behind]) => !behind).map(link))
    menu.replaceChildren(...model.entries.map(link))
    open(false)
    mark()
  }

  // A plain click changes the page in place; with a modifier the browser opens a new tab.
  nav.addEventListener("click", (event) => {
    const one = event.target.closest("a")
    if (event.target.closest("button")) open(menu.hidden)
    if (!one || event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    open(false)
    model.page = one.dataset.page
  })
  addMenuKeys(nav, button, links, menu, open)
  nav.addEventListener("focusout", (event) => {
    if (!nav.contains(event.relatedTarget)) open(false)
  })
  document.addEventListener("pointerdown", (event) => {
    if (!event.composedPath().includes(nav)) open(false)
  })

  keepAddress(model)
  model.on("entries", draw)
  model.on("page", mark)
  draw()
  return nav
}
