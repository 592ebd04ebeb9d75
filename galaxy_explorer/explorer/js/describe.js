// A figure's words for screen readers. Arguments: plot, words.
const canvas = Bokeh.index.find_one(plot)?.canvas_view?.el.shadowRoot
const [first, ...others] = canvas?.querySelectorAll("canvas") ?? []
first?.setAttribute("role", "img")
first?.setAttribute("aria-label", words)
for (const other of others) other.setAttribute("aria-hidden", "true")
