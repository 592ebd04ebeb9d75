// Clusters in a row, early to late: histogram above, members below. Columns can be moved by their
// buttons, by the arrow keys on their heading, or dragged.

function makeSign(text, words, action, disabled) {
  const button = element("button", "trend-sign", text)
  button.title = words
  button.setAttribute("aria-label", words)
  button.disabled = disabled
  button.addEventListener("click", action)
  return button
}

function makeHeading(model, column, place, move) {
  const head = element("div", "trend-head")
  const name = element("button", "trend-name", "")
  const dot = element("span", "panel-dot")
  dot.style.background = column.colour
  name.append(dot, element("b", "", column.id), element("span", "trend-note", column.mean))
  name.title = `${column.words}. Click to select; arrow keys move it.`
  name.setAttribute("aria-label", name.title)
  name.addEventListener("click", () => model.send_msg({cluster: column.id}))
  name.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key]
    if (!by) return
    event.preventDefault()
    move(place, place + by)
  })
  const signs = element("span", "trend-signs")
  const last = model.columns.length - 1
  signs.append(
    makeSign("‹", `Move cluster ${column.id} left`, () => move(place, place - 1), place === 0),
    makeSign("›", `Move cluster ${column.id} right`, () => move(place, place + 1), place === last),
    makeSign("×", `Take cluster ${column.id} out`, () => model.send_msg({remove: place}), !last),
  )
  head.append(name, signs)
  return head
}

function makeMember(model, [row, words, place], address) {
  const button = element("button", "strip-tile")
  button.title = words
  button.setAttribute("aria-label", `${model.pictures_words} of ${words}`)
  button.addEventListener("click", () => model.send_msg({focus: row}))
  showTile(button, address, place, model.sheet_columns, model.sheet_rows)
  return button
}

// Lets a column be dragged to the place of another; `drag.from` is the place it comes from.
function makeDraggable(box, place, drag, move) {
  box.draggable = true
  box.addEventListener("dragstart", (event) => {
    drag.from = place
    event.dataTransfer.effectAllowed = "move"
  })
  box.addEventListener("dragover", (event) => {
    if (drag.from === null) return
    event.preventDefault()
    box.classList.add("over")
  })
  box.addEventListener("dragleave", () => box.classList.remove("over"))
  box.addEventListener("drop", (event) => {
    event.preventDefault()
    if (drag.from !== null) move(drag.from, place)
  })
  box.addEventListener("dragend", () => {
    drag.from = null
  })
}

export function render({model}) {
  const sheet = {}
  const root = element("section", "trend")
  root.setAttribute("aria-label", "Clusters in order")
  const drag = {from: null}

  const move = (from, to) => {
    if (to < 0 || to >= model.columns.length || from === to) return
    root.dataset.hold = model.columns[from].id
    model.send_msg({move: [from, to]})
  }

  const makeColumn = (column, place, address) => {
    const box = element("div", "trend-column")
    box.dataset.cluster = column.id
    makeDraggable(box, place, drag, move)
    const axis = element("div", "trend-axis")
    for (const label of ["−3", "0", "3", "6"]) axis.append(element("span", "", label))
    const members = column.tiles.map((tile) => makeMember(model, tile, address))
    const count = element("div", "trend-note", column.n)
    box.append(makeHeading(model, column, place, move), bars(column), axis, count, ...members)
    return box
  }

  let turn = 0
  const draw = async () => {
    const mine = ++turn
    const address = sheetAddress(sheet, model.sheet, model.sheet_format)
    await decoded(address)
    if (mine !== turn) return
    root.style.setProperty("--columns", model.columns.length || 1)
    root.replaceChildren(
      ...model.columns.map((column, place) => makeColumn(column, place, address)),
    )
    letGo(sheet)
    if (root.dataset.hold !== undefined) {
      root.querySelector(`[data-cluster="${root.dataset.hold}"] .trend-name`)?.focus()
      delete root.dataset.hold
    }
    root.dataset.order = model.columns.map((column) => column.id).join(" ")
    tellPainted(root, model)
  }

  drawOnChange(model, ["sheet", "columns", "stamp"], draw)
  freeWhenRemoved(model, sheet)
  draw()
  return root
}
