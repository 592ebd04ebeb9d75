// Helpers that every component here starts with: elements, and arrow keys inside a grid of buttons.

function element(tag, classes, text, attributes = {}) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  if (classes) node.className = classes
  if (text !== undefined && text !== null) node.textContent = text
  return node
}

function columnsOf(buttons) {
  const top = buttons[0].offsetTop
  const second = buttons.findIndex((button) => button.offsetTop > top)
  return second < 0 ? buttons.length : second
}

function step(key, buttons) {
  if (key === "ArrowRight") return 1
  if (key === "ArrowLeft") return -1
  if (key === "ArrowDown") return columnsOf(buttons)
  if (key === "ArrowUp") return -columnsOf(buttons)
  return 0
}

// One stop for the Tab key; arrows move inside. Returns whether the key was used.
function moveInside(event, buttons) {
  const here = buttons.indexOf(event.target.closest("button"))
  if (here < 0) return false
  const by = step(event.key, buttons)
  if (by === 0) return false
  event.preventDefault()
  const next = buttons[here + by]
  if (next) {
    buttons[here].tabIndex = -1
    next.tabIndex = 0
    next.focus()
  }
  return true
}

// Several properties change in one message: draw once, after the last of them.
function drawOnChange(model, names, draw) {
  let waiting = false
  model.on(names, () => {
    if (waiting) return
    waiting = true
    queueMicrotask(() => {
      waiting = false
      draw()
    })
  })
}

// Shows tile number `place` of a sheet with `columns` x `rows` tiles as the background of a node.
function showTile(node, sheet, place, columns, rows) {
  const x = place % columns
  const y = Math.floor(place / columns)
  node.style.backgroundImage = sheet ? `url(${sheet})` : "none"
  node.style.backgroundSize = `${columns * 100}% ${rows * 100}%`
  node.style.backgroundPosition = `${columns > 1 ? (100 * x) / (columns - 1) : 0}% ${rows > 1 ? (100 * y) / (rows - 1) : 0}%`
}

// Resolves once the browser holds the pixels, so that new pictures replace old ones in one paint;
// after half a second in any case: a page that is not being painted decodes nothing.
async function decoded(address) {
  if (!address) return
  const image = new Image()
  image.src = address
  const late = new Promise((resolve) => setTimeout(resolve, 500))
  await Promise.race([image.decode().catch(() => undefined), late])
}

// Draws now, and whenever one of `names` or of the pictures (properties that hold files) has changed:
// `draw` gets the addresses of the pictures, once the browser holds the pixels. Pictures that are no
// longer shown are freed; `root` says which drawing is on the screen, once it has been painted.
function drawPictures(model, root, pictures, names, draw) {
  let shown = []
  let turn = 0
  const free = (addresses) => {
    for (const address of addresses) if (address) URL.revokeObjectURL(address)
  }
  const redraw = async () => {
    const mine = ++turn
    const addresses = pictures.map(
      (name) => model[name] && URL.createObjectURL(new Blob([model[name]])),
    )
    await Promise.all(addresses.map(decoded))
    if (mine !== turn) {
      free(addresses)
      return
    }
    draw(...addresses)
    free(shown)
    shown = addresses
    if (!model.stamp) return
    requestAnimationFrame(() => {
      root.dataset.painted = model.stamp
    })
  }
  drawOnChange(model, [...pictures, ...names], redraw)
  model.on("remove", () => {
    turn++
    free(shown)
  })
  redraw()
}

// Rows by a value of each, a number or a text; rows without one come last. By null: as they are.
function inOrder(rows, {by, falling}, value) {
  if (by === null) return rows
  const sign = falling ? -1 : 1
  return [...rows].sort((first, second) => {
    const [a, b] = [value(first, by), value(second, by)]
    if (a === null || b === null) return (a === null) - (b === null)
    if (a === b) return 0
    return a < b ? -sign : sign
  })
}

// The heading of a column that sorts when clicked, and says how it is sorted now.
function sortHeading(name, place, {by, falling}, sort) {
  const cell = element("th", "", "", {scope: "col"})
  const way = falling ? "descending" : "ascending"
  cell.setAttribute("aria-sort", by === place ? way : "none")
  const button = element("button", "", name)
  const sign = falling ? " ▾" : " ▴"
  button.append(element("span", "sort-sign", by === place ? sign : ""))
  button.addEventListener("click", sort)
  cell.append(button)
  return cell
}

// The buttons for what can be done with something: model.actions as [name, title]; sends {do: name}.
function actionButtons(model, box) {
  box.replaceChildren(
    ...model.actions.map(([name, title]) => {
      const button = element("button", "plain-button", title)
      button.addEventListener("click", () => model.send_msg({do: name}))
      return button
    }),
  )
}
