// The pages as links in the header: one stop for the Tab key, arrows move, Enter opens.

export function render({model}) {
  const nav = element("nav", "pages")
  nav.setAttribute("aria-label", "Pages")

  const mark = () => {
    for (const link of nav.children) {
      const current = link.dataset.page === model.page
      link.tabIndex = current ? 0 : -1
      if (current) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
      if (current) link.scrollIntoView({block: "nearest", inline: "center"})
    }
  }

  const draw = () => {
    nav.replaceChildren(
      ...model.entries.map(([name, title, first]) => {
        const link = element("a", first ? "first" : "", title)
        link.href = `?page=${encodeURIComponent(name)}`
        link.dataset.page = name
        return link
      }),
    )
    mark()
  }

  // A plain click changes the page in place; with a modifier the browser opens a new tab.
  nav.addEventListener("click", (event) => {
    const link = event.target.closest("a")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    model.page = link.dataset.page
  })
  nav.addEventListener("keydown", (event) => {
    const links = [...nav.children]
    const here = links.indexOf(event.target)
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    const next = by ? links[here + by] : {Home: links[0], End: links.at(-1)}[event.key]
    if (!next) return
    event.preventDefault()
    next.focus()
  })
  // Pages that do not fit can be scrolled to; an edge that fades says that there are more.
  const fade = () => {
    nav.classList.toggle("more", nav.scrollLeft + nav.clientWidth < nav.scrollWidth - 2)
  }
  nav.addEventListener("scroll", fade)
  new ResizeObserver(fade).observe(nav)
  model.on("entries", draw)
  model.on("page", mark)
  draw()
  return nav
}
