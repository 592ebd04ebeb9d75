// The codes of a codebook: pictures from one sheet, each a button with a line below it.

export function render({model}) {
  const sheet = {}
  const root = element("section", "codes")
  const heading = element("div", "gallery-heading")
  heading.setAttribute("aria-live", "polite")
  const grid = element("div", "codes-grid")
  grid.setAttribute("role", "group")
  grid.setAttribute("aria-label", "Codes of the codebook")
  root.append(heading, grid)

  const mark = () => {
    const buttons = [...grid.children]
    const chosen = buttons.find((button) => Number(button.dataset.code) === model.chosen)
    for (const button of buttons) {
      button.setAttribute("aria-pressed", button === chosen)
      button.tabIndex = button === (chosen || buttons[0]) ? 0 : -1
    }
  }

  const makeCode = (code) => {
    const button = element("button", "code")
    button.dataset.code = code.id
    button.title = code.words
    button.setAttribute("aria-label", code.words)
    const foot = element("span", "code-foot")
    foot.append(element("b", "", code.id), element("span", "", code.note))
    const bar = element("span", "code-bar")
    bar.style.background = code.colour
    button.append(element("span", "code-picture"), bar, foot)
    return button
  }

  let turn = 0
  const draw = async () => {
    const mine = ++turn
    const address = sheetAddress(sheet, model.sheet, model.sheet_format)
    await decoded(address)
    if (mine !== turn) return
    const held = grid.getRootNode().activeElement?.dataset?.code
    const rows = Math.ceil(model.codes.length / model.sheet_columns)
    grid.style.setProperty("--tile", `${model.tile_width}px`)
    grid.replaceChildren(
      ...model.codes.map((code, place) => {
        const button = makeCode(code)
        showTile(button.firstChild, address, place, model.sheet_columns, rows)
        button.firstChild.classList.toggle("middle", model.framed)
        return button
      }),
    )
    heading.textContent = model.heading
    mark()
    if (held !== undefined) grid.querySelector(`[data-code="${held}"]`)?.focus()
    letGo(sheet)
    tellPainted(root, model)
  }

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button")
    if (button) model.send_msg({code: Number(button.dataset.code)})
  })
  grid.addEventListener("keydown", (event) => moveInside(event, [...grid.children]))
  drawOnChange(model, ["sheet", "codes", "heading", "framed", "tile_width", "stamp"], draw)
  model.on("chosen", mark)
  freeWhenRemoved(model, sheet)
  draw()
  return root
}
