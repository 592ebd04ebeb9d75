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
    const dot = element("span", "panel-dot")
    dot.style.background = row.colour
    title.append(dot)
  }
  title.append(element("span", "row-name", row.title))
  if (row.count) title.append(element("span", "row-count", row.count))
  head.append(title)
  if (row.bars) {
    const drawing = element("span", "row-bars")
    const axis = element("span", "row-axis")
    axis.setAttribute("aria-hidden", "true")
    for (const label of ["−3", "0", "3", "6"]) axis.append(element("span", "", label))
    drawing.append(bars(row), axis)
    head.append(drawing)
  }
  const notes = element("span", "row-notes")
  for (const note of row.notes || []) notes.append(element("span", "", note))
  if (notes.childElementCount) head.append(notes)
  return head
}

function makeTile(view, tile, address) {
  const button = element("button", "tile")
  button.dataset.tile = tile.id
  button.title = tile.words
  button.setAttribute("aria-label", `${view.pictures_words || ""} ${tile.words}`.trim())
  const picture = element("span", `tile-picture ${view.framed ? "middle" : ""}`)
  showTile(picture, address, tile.place, view.sheet_columns, view.sheet_rows)
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
    const head = element("th", "tile-column", name)
    head.scope = "col"
    if (note) head.append(element("div", "", note))
    return head
  })
  top.append(element("td"), ...heads)
  const lines = view.rows.map((row) => {
    const line = element("tr")
    const head = element("th")
    head.scope = "row"
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

// The sheet of a model: `look` gives what is shown of it, whenever one of `names` has changed;
// `report` gets {tile: number} or {row: number, add: whether shift is held}; `marks` names the lists
// of the numbers of tiles and rows that are marked.
function tileSheet(model, names, look, report, marks = {}) {
  const root = element("section", "tile-sheet")
  const heading = element("div", "gallery-heading")
  heading.setAttribute("aria-live", "polite")
  const body = element("div", "tile-body")
  body.setAttribute("role", "group")
  root.append(heading, body)
  const kinds = ["tile", "row"]
  const buttons = (kind) => [...body.querySelectorAll(`button[data-${kind}]`)]

  const mark = () => {
    for (const kind of kinds) {
      const all = buttons(kind)
      const numbers = marks[kind] ? model[marks[kind]] : []
      const chosen = all.filter((one) => numbers.includes(Number(one.dataset[kind])))
      for (const one of all) {
        one.setAttribute("aria-pressed", chosen.includes(one))
        one.tabIndex = one === (chosen[0] || all[0]) ? 0 : -1
      }
    }
  }

  const draw = (address) => {
    const view = look()
    const held = {...body.getRootNode().activeElement?.dataset}
    body.setAttribute("aria-label", view.label)
    root.style.setProperty("--tile", `${view.tile_width}px`)
    root.style.setProperty("--row", `${view.row_width}px`)
    body.className = `tile-body ${view.row_width ? "beside" : ""}`
    body.replaceChildren(
      ...(view.columns.length
        ? [makeTable(view, address)]
        : view.rows.map((row) => makeRow(view, row, address))),
    )
    heading.textContent = view.heading
    heading.hidden = !view.heading
    root.dataset.columns = view.columns.length
    mark()
    for (const kind of kinds) {
      if (held[kind] !== undefined) body.querySelector(`[data-${kind}="${held[kind]}"]`)?.focus()
    }
  }

  body.addEventListener("click", (event) => {
    const {tile, row} = event.target.closest("button")?.dataset || {}
    if (tile !== undefined) report({tile: Number(tile)})
    if (row !== undefined) report({row: Number(row), add: event.shiftKey})
  })
  body.addEventListener("keydown", (event) => {
    for (const kind of kinds) {
      if (moveInside(event, buttons(kind))) return
    }
  })
  for (const name of Object.values(marks)) model.on(name, mark)
  drawPictures(model, root, ["sheet"], ["heading", "stamp", ...names], draw)
  return root
}
