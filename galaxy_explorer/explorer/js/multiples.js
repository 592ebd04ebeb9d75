// Small multiples: one little histogram of Hubble types per cluster, each a button.

const NAMED = 120 // pixels a panel needs to hold its cluster's name

function makePanel(panel, model) {
  const button = element("button", `panel ${panel.count ? "" : "none"}`)
  button.dataset.cluster = panel.id
  button.title = panel.words
  button.setAttribute("aria-label", panel.words)
  const head = element("span", "panel-head")
  const dot = element("span", "panel-dot")
  dot.style.background = panel.colour
  head.append(dot, element("span", "panel-id", panel.id), element("span", "panel-count", panel.n))
  const foot = element("span", "panel-foot")
  foot.append(element("span", "", panel.kind), element("span", "", panel.mean))
  const share = element("span", "panel-share")
  const fill = element("span", "panel-fill")
  fill.style.width = `${100 * panel.picked}%`
  share.append(fill)
  const name = model.panel_width >= NAMED ? element("span", "panel-name", panel.name) : ""
  button.append(
    head,
    name,
    panel.count ? bars(panel) : element("span", "panel-void", "empty"),
    foot,
    share,
  )
  return button
}

export function render({model}) {
  const grid = element("div", "panels", "", {role: "group"})

  const mark = () => {
    const buttons = [...grid.children]
    const chosen = buttons.find((button) => Number(button.dataset.cluster) === model.chosen)
    for (const button of buttons) {
      button.setAttribute("aria-pressed", button === chosen)
      button.tabIndex = button === (chosen || buttons[0]) ? 0 : -1
    }
  }

  const draw = () => {
    const held = grid.getRootNode().activeElement?.dataset?.cluster
    grid.setAttribute("aria-label", model.label)
    grid.style.setProperty("--panel", `${model.panel_width}px`)
    grid.classList.toggle("picking", model.picking)
    grid.replaceChildren(...model.panels.map((panel) => makePanel(panel, model)))
    mark()
    if (held !== undefined) grid.querySelector(`[data-cluster="${held}"]`)?.focus()
  }

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button")
    if (button) model.send_msg({cluster: Number(button.dataset.cluster)})
  })
  grid.addEventListener("keydown", (event) => moveInside(event, [...grid.children]))
  drawOnChange(model, ["panels", "panel_width", "picking", "label"], draw)
  model.on("chosen", mark)
  draw()
  return grid
}
