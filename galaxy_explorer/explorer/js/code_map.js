// A galaxy with its code map laid over it: each cell has the colour and the number of its code.

export function render({model}) {
  const root = element("figure", "code-map")
  const stage = element("div", "picture")
  const image = element("img", "picture")
  const grid = element("div", "code-map-grid", "", {role: "group"})
  const caption = element("figcaption", "")
  stage.append(image, grid)
  root.append(stage, caption)

  const makeCell = (code) => {
    const cell = element("button", "code-map-cell")
    cell.dataset.code = code
    cell.title = cell.ariaLabel = `Code ${code}`
    const tint = element("span", "code-map-tint")
    tint.style.background = model.colours[code]
    cell.append(tint, element("span", "code-map-number", code))
    return cell
  }

  const mark = () => {
    for (const cell of grid.children) {
      cell.setAttribute("aria-pressed", Number(cell.dataset.code) === model.chosen)
    }
  }
  const fade = () => grid.style.setProperty("--opacity", model.opacity)

  const draw = (address) => {
    image.src = address || ""
    image.hidden = !address
    image.alt = model.words
    grid.setAttribute("aria-label", `Code map of ${model.words}`)
    grid.style.gridTemplateColumns = `repeat(${model.side}, 1fr)`
    grid.classList.toggle("fine", model.side > 8)
    grid.replaceChildren(...model.codes.map(makeCell))
    for (const [place, cell] of [...grid.children].entries()) cell.tabIndex = place ? -1 : 0
    caption.textContent = model.caption
    mark()
    fade()
    root.dataset.cells = model.codes.length
  }

  grid.addEventListener("click", (event) => {
    const cell = event.target.closest("button")
    if (cell) model.send_msg({code: Number(cell.dataset.code)})
  })
  grid.addEventListener("keydown", (event) => moveInside(event, [...grid.children]))
  model.on("chosen", mark)
  model.on("opacity", fade)
  drawPictures(model, root, ["picture"], ["codes", "colours", "side", "words", "caption"], draw)
  return root
}
