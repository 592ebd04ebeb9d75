// The head of the drawer: its tabs, the button that folds it, and the keys that work on every page:
// Escape goes back, arrows walk from galaxy to galaxy.
const WRITTEN = "input, textarea, select, [role=menu], [role=listbox], [role=dialog], nav"
const OWN_KEYS = `${WRITTEN}, button, [role=slider], .desk`

export function render({model}) {
  const head = element("div", "drawer-head")
  const tabs = element("div", "drawer-tabs", "", {role: "tablist", "aria-label": "Drawer"})
  const fold = element("button", "icon-button drawer-fold")
  const narrow = matchMedia("(max-width: 700px)")
  const isFolded = () => model.mode === "closed" || (model.mode === "auto" && narrow.matches)
  fold.addEventListener("click", () => model.send_msg({drawer: isFolded() ? "open" : "closed"}))
  head.append(tabs, fold)

  const draw = () => {
    tabs.replaceChildren(
      ...model.entries.map(([name, title]) => {
        const tab = element("button", "drawer-tab", title, {role: "tab"})
        tab.dataset.tab = name
        tab.addEventListener("click", () => model.send_msg({tab: name}))
        return tab
      }),
    )
    mark()
  }
  const mark = () => {
    for (const tab of tabs.children) {
      const chosen = tab.dataset.tab === model.tab
      tab.setAttribute("aria-selected", String(chosen))
      tab.tabIndex = chosen ? 0 : -1
    }
    const folded = isFolded()
    head.classList.toggle("folded", folded)
    fold.setAttribute("aria-label", folded ? "Open the drawer" : "Close the drawer")
    fold.setAttribute("aria-expanded", String(!folded))
    fold.title = fold.getAttribute("aria-label")
  }
  tabs.addEventListener("keydown", (event) => {
    const all = [...tabs.children]
    const next = all[all.indexOf(event.target) + ({ArrowRight: 1, ArrowLeft: -1}[event.key] ?? NaN)]
    if (!next) return
    event.stopPropagation()
    next.focus()
    next.click()
  })

  const onKey = (event) => {
    const path = event.composedPath().filter((node) => node instanceof Element)
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return
    if (!model.active) return
    const inside = (kinds) => path.some((node) => node.matches(kinds))
    if (event.key === "Escape" && !inside(WRITTEN)) model.send_msg({back: true})
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    if (by && model.tab === "galaxy" && !inside(OWN_KEYS)) {
      event.preventDefault()
      model.send_msg({walk: by})
    }
  }
  document.addEventListener("keydown", onKey)
  narrow.addEventListener("change", mark)
  model.on("remove", () => document.removeEventListener("keydown", onKey))
  model.on("entries", draw)
  model.on(["tab", "mode"], mark)
  draw()
  return head
}
