// Tiles cut from one sheet of pictures, in rows that may have a heading: one below the other, side
// by side, or as a table where columns have headings. What rows and tiles are: `TileSheet`.

function makeHeading(row) {
  const named = row.id !== undefined
  const head = element(named ? "button" : "div", `row-head ${row.unstable ? "unstable" : ""}`)
  if (named) {
    head.dataset.row = row.id
    head.title = row.words
    head.setAttribute("aria-label", row.words)
  }
  const title = element("span", "row-title")
  if (row.colour) {
    const dot = element("span", "row-dot")
    dot.style.background = row.colour
    title.append(dot)
  }
  title.append(element("span", "row-name", row.title))
  if (row.count) title.append(element("span", "row-count", row.count))
  head.append(title)
  if (row.bars) {
    const drawing = element("span", "row-bars")
    const axis = element("span", "row-axis", "", {"aria-hidden": "true"})
    for (const label of ["−3", "0", "3", "6"]) axis.append(element("span", "", label))
    drawing.append(bars(row), axis)
    head.append(drawing)
  }
  const notes = element("span", "row-notes")
  for (const note of row.notes || []) notes.append(element("span", "", note))
  if (notes.childElementCount) head.append(notes)
  if (row.share !== undefined) {
    const share = element("span", "row-share")
    const fill = element("span", "row-fill")
    fill.style.width = `${100 * row.share}%`
    share.append(fill)
    head.append(share)
  }
  return head
}

function makeTile(view, tile, address) {
  const button = element("button", "tile")
  button.dataset.tile = tile.id
  button.setAttribute("aria-label", `${view.pictures_words || ""} ${tile.words}`.trim())
  button.dataset.words = tile.words
  const picture = element("span", `picture ${view.framed ? "middle" : ""}`)
  showTile(picture, address, tile.place, view.sheet_columns, view.sheet_rows)
  if (tile.note) picture.append(element("span", "tile-note", tile.note))
  button.append(picture)
  if (tile.colour) {
    const bar = element("span", "tile-bar")
    bar.style.background = tile.colour
    button.append(bar)
  }
  if (tile.foot) {
    const foot = element("span", "tile-foot")
    for (const [text, strong] of tile.foot) foot.append(element(strong ? "b" : "span", "", text))
    button.append(foot)
  }
  return button
}

// The rows as a table, where columns have headings too.
function makeTable(view, address) {
  const table = element("table", "tile-table")
  const top = element("tr")
  const heads = view.columns.map(({name, note}) => {
    const head = element("th", "tile-column", name, {scope: "col"})
    if (note) head.append(element("div", "", note))
    return head
  })
  top.append(element("td"), ...heads)
  const lines = view.rows.map((row) => {
    const line = element("tr")
    const head = element("th", "", "", {scope: "row"})
    head.append(makeHeading(row))
    const cells = row.tiles.map((tile) => {
      const cell = element("td")
      if (tile) cell.append(makeTile(view, tile, address))
      return cell
    })
    line.append(head, ...cells)
    return line
  })
  table.append(top, ...lines)
  return table
}

function makeRow(view, row, address) {
  const box = element("div", `tile-row ${row.title ? "titled" : ""}`)
  if (row.title) box.append(makeHeading(row))
  if (row.tiles.length) {
    const line = element("div", "tile-line")
    line.style.setProperty("--count", row.tiles.length)
    line.append(...row.tiles.map((tile) => makeTile(view, tile, address)))
    box.append(line)
  }
  return box
}

// Buttons that turn the pages of a sheet which has several; keys press them, too.
function addPager(model, root, bar) {
  const pager = element("div", "gallery-pager")
  const where = element("span", "gallery-where")
  const turns = [
    ["«", "First page (Home)", () => 0],
    ["‹", "Page back (Page Up)", () => Math.max(0, model.page - 1)],
    ["›", "Page on (Page Down)", () => Math.min(model.pages - 1, model.page + 1)],
    ["»", "Last page (End)", () => model.pages - 1],
  ].map(([sign, words, target]) => {
    const button = element("button", "gallery-turn", sign)
    button.title = button.ariaLabel = words
    button.addEventListener("click", () => model.send_msg({page: target()}))
    return {button, target}
  })
  const [first, back, on, last] = turns.map(({button}) => button)
  pager.append(first, back, where, on, last)
  bar.append(pager)
  root.addEventListener("keydown", (event) => {
    const pressed = {Home: first, PageUp: back, PageDown: on, End: last}[event.key]
    if (!pressed || pager.hidden) return
    event.preventDefault()
    pressed.click()
  })
  return () => {
    pager.hidden = !(model.pages > 1)
    where.textContent = `page ${model.page + 1} of ${model.pages}`
    for (const {button, target} of turns) button.disabled = target() === model.page
    root.dataset.page = model.page
  }
}

// The words of the tile that is pointed at or has the keyboard, below it, inside the sheet's own box.
function addCaption(root, body) {
  const caption = element("div", "tile-caption", "", {role: "tooltip"})
  root.append(caption)
  const hide = () => {
    caption.hidden = true
  }
  const tell = ({target}) => {
    const tile = target.closest(".tile")
    caption.hidden = !tile
    if (!tile) return
    caption.textContent = tile.dataset.words
    const [box, at] = [root, tile].map((node) => node.getBoundingClientRect())
    const half = caption.offsetWidth / 2
    const middle = at.left - box.left + at.width / 2
    caption.style.left = `${Math.min(Math.max(middle, half), box.width - half)}px`
    caption.style.top = `${at.bottom - box.top + 4}px`
  }
  for (const name of ["mouseover", "focusin"]) body.addEventListener(name, tell)
  for (const name of ["mouseleave", "focusout"]) body.addEventListener(name, hide)
  hide()
  return hide
}

const KINDS = ["tile", "row"]

function buttonsOf(body, kind) {
  return [...body.querySelectorAll(`button[data-${kind}]`)]
}

// Replaces what is shown; the keyboard stays at the tile or row of the same number, else place.
function keepFocus(body, replace) {
  const active = body.getRootNode().activeElement
  const kind = KINDS.find((one) => buttonsOf(body, one).includes(active))
  const place = kind ? buttonsOf(body, kind).indexOf(active) : 0
  replace()
  if (!kind) return
  const all = buttonsOf(body, kind)
  const same = all.find((one) => one.dataset[kind] === active.dataset[kind])
  const next = same || all[Math.min(place, all.length - 1)]
  next?.focus()
}

export function render({model}) {
  const root = element("section", `tile-sheet ${model.kind}`)
  const bar = element("div", "gallery-bar")
  const heading = element("div", "gallery-heading", "", {"aria-live": "polite"})
  bar.append(heading)
  const body = element("div", "tile-body", "", {role: "group"})
  root.append(bar, body)
  const tellPage = addPager(model, root, bar)
  const hideCaption = addCaption(root, body)

  const mark = () => {
    for (const kind of KINDS) {
      const all = buttonsOf(body, kind)
      const numbers = kind === "tile" ? model.chosen : model.chosen_rows
      const chosen = all.filter((one) => numbers.includes(Number(one.dataset[kind])))
      for (const one of all) {
        one.setAttribute("aria-pressed", chosen.includes(one))
        one.tabIndex = one === (chosen[0] || all[0]) ? 0 : -1
      }
    }
  }

  const draw = (address) => {
    body.setAttribute("aria-label", model.heading || model.label)
    root.style.setProperty("--tile", `${model.tile_width}px`)
    root.style.setProperty("--row", `${model.row_width}px`)
    body.className = `tile-body ${model.row_width ? "beside" : ""}`
    const parts = model.columns.length
      ? [makeTable(model, address)]
      : model.rows.map((row) => makeRow(model, row, address))
    keepFocus(body, () => {
      body.replaceChildren(...parts)
      mark()
    })
    heading.textContent = model.heading
    bar.hidden = !model.heading && model.pages < 2
    root.dataset.columns = model.columns.length
    tellPage()
    hideCaption()
  }

  body.addEventListener("click", (event) => {
    const {tile, row} = event.target.closest("button")?.dataset || {}
    if (tile !== undefined) model.send_msg({tile: Number(tile)})
    if (row !== undefined) model.send_msg({row: Number(row), add: event.shiftKey})
  })
  body.addEventListener("keydown", (event) => {
    for (const kind of KINDS) {
      if (moveInside(event, buttonsOf(body, kind))) return
    }
  })
  model.on(["chosen", "chosen_rows"], mark)
  const shape = ["columns", "rows", "label", "framed", "tile_width", "row_width", "page", "pages"]
  drawPictures(model, root, ["sheet"], ["heading", "stamp", ...shape], draw)
  return root
}
