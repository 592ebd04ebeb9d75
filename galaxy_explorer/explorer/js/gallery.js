// A page of pictures cut from one sheet image. Each click carries the row of its own galaxy.

function makePager(model, turn) {
  return [
    ["«", "First page (Home)", () => 0],
    ["‹", "Page back (Page Up)", () => model.page - 1],
    ["›", "Page on (Page Down)", () => model.page + 1],
    ["»", "Last page (End)", () => model.pages - 1],
  ].map(([sign, words, target]) => {
    const button = element("button", "gallery-turn", sign)
    button.title = words
    button.setAttribute("aria-label", words)
    button.addEventListener("click", () => turn(target()))
    return button
  })
}

// The caption below a picture that is pointed at, inside the gallery's own box.
function tellCaption(caption, button, root) {
  caption.textContent = button.dataset.caption
  caption.classList.add("shown")
  const box = root.getBoundingClientRect()
  const tile = button.getBoundingClientRect()
  const half = caption.offsetWidth / 2
  const middle = tile.left - box.left + tile.width / 2
  caption.style.left = `${Math.min(Math.max(middle, half), box.width - half)}px`
  caption.style.top = `${tile.bottom - box.top + 4}px`
}

function makeTile(model, caption, root) {
  const button = element("button", "gallery-tile")
  button.append(element("span", "gallery-note"))
  button.addEventListener("click", () => model.send_msg({focus: Number(button.dataset.row)}))
  const tell = () => tellCaption(caption, button, root)
  const hide = () => caption.classList.remove("shown")
  button.addEventListener("mouseenter", tell)
  button.addEventListener("focus", tell)
  button.addEventListener("mouseleave", hide)
  button.addEventListener("blur", hide)
  return button
}

function fillTiles(model, grid, address) {
  const rows = Math.max(1, Math.ceil(model.tiles.length / model.sheet_columns))
  model.tiles.forEach(([row, words, note], place) => {
    const button = grid.children[place]
    button.firstChild.textContent = note || ""
    button.dataset.row = row
    button.dataset.caption = words
    button.setAttribute("aria-label", `${model.pictures_words} of ${words}`)
    button.tabIndex = place === 0 ? 0 : -1
    showTile(button, address, place, model.sheet_columns, rows)
  })
}

function makeGrid() {
  const grid = element("div", "gallery-grid")
  grid.setAttribute("role", "group")
  const caption = element("div", "gallery-caption")
  caption.setAttribute("role", "tooltip")
  return [grid, caption]
}

// Some keys turn pages; any other may move among the pictures.
function addGalleryKeys(root, grid, model, turn) {
  root.addEventListener("keydown", (event) => {
    const pages = {PageUp: model.page - 1, PageDown: model.page + 1, Home: 0, End: model.pages - 1}
    const target = pages[event.key]
    if (target === undefined) {
      moveInside(event, [...grid.children])
    } else {
      event.preventDefault()
      turn(target)
    }
  })
}

export function render({model}) {
  const root = element("section", "gallery")
  root.setAttribute("aria-label", "Gallery of galaxies")
  const turn = (page) => {
    if (page >= 0 && page < model.pages && page !== model.page) model.send_msg({page})
  }
  const bar = element("div", "gallery-bar")
  const heading = element("div", "gallery-heading")
  heading.setAttribute("aria-live", "polite")
  const pager = element("div", "gallery-pager")
  const [first, back, on, last] = makePager(model, turn)
  const where = element("span", "gallery-where")
  pager.append(first, back, where, on, last)
  bar.append(heading, pager)
  const [grid, caption] = makeGrid()
  root.append(bar, grid, caption)

  const mark = () => {
    for (const button of grid.children) {
      button.classList.toggle("focused", Number(button.dataset.row) === model.focus_row)
    }
  }

  const tellPage = () => {
    heading.textContent = model.heading
    where.textContent = model.pages > 1 ? `page ${model.page + 1} of ${model.pages}` : ""
    pager.hidden = model.pages < 2
    first.disabled = back.disabled = model.page <= 0
    last.disabled = on.disabled = model.page >= model.pages - 1
    caption.classList.remove("shown")
    mark()
    root.dataset.page = model.page
  }

  const draw = (address) => {
    const count = model.tiles.length
    while (grid.children.length < count) grid.append(makeTile(model, caption, root))
    while (grid.children.length > count) grid.lastChild.remove()
    fillTiles(model, grid, address)
    tellPage()
  }

  addGalleryKeys(root, grid, model, turn)
  const size = () => root.style.setProperty("--tile", `${model.tile_width}px`)
  model.on("focus_row", mark)
  model.on("tile_width", size)
  size()
  drawPictures(model, root, ["sheet"], ["tiles", "heading", "page", "pages", "stamp"], draw)
  return root
}
