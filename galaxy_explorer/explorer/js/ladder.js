// Hubble types from left to right: lines of real galaxies above, of synthetic ones below.

export function render({model}) {
  const made = {}
  const real = {}
  const table = element("table", "ladder")
  const caption = element("caption")
  const head = element("thead")
  const body = element("tbody")
  table.append(caption, head, body)

  const headLine = () => {
    const line = element("tr")
    const corner = element("th", "", "Hubble type T")
    corner.scope = "col"
    line.append(corner, ...model.columns.map(({words, colour}) => {
      const cell = element("th", "ladder-type", words)
      cell.scope = "col"
      cell.style.setProperty("--chip", colour)
      return cell
    }))
    return line
  }

  const bodyLine = (line, sheet, lines) => {
    const row = element("tr")
    const label = element("th", "", line.label)
    label.scope = "row"
    label.append(element("div", "strip-note", line.note))
    row.append(label, ...model.columns.map(({words}, column) => {
      const cell = element("td")
      const place = line.first + column
      const shown = !line.synthetic || place < model.ready
      const tile = element(line.synthetic ? "div" : "button", "ladder-tile")
      const say = line.synthetic
        ? `Synthetic galaxy of type ${words}, ${line.note}`
        : `Real galaxy of type ${words}: ${model.real_names[place] || "none"}`
      tile.setAttribute("aria-label", say)
      if (line.synthetic) {
        tile.setAttribute("role", "img")
        tile.classList.add("synthetic")
        tile.append(element("span", "synthetic-mark", "SYNTHETIC"))
      } else {
        tile.title = model.real_names[place] || ""
        tile.disabled = !model.real_names[place]
        tile.addEventListener("click", () => model.send_msg({real: place}))
      }
      tile.classList.toggle("blank", !shown)
      if (shown) showTile(tile, sheet, place, model.columns.length, lines)
      cell.append(tile)
      return cell
    }))
    return row
  }

  let turn = 0
  const draw = async () => {
    const mine = ++turn
    const sheets = [
      sheetAddress(made, model.sheet, model.sheet_format),
      sheetAddress(real, model.real_sheet, model.sheet_format),
    ]
    await Promise.all(sheets.map(decoded))
    if (mine !== turn) return
    const count = (synthetic) => model.lines.filter((one) => one.synthetic === synthetic).length
    caption.textContent = model.heading
    head.replaceChildren(headLine())
    body.replaceChildren(...model.lines.map((line) => bodyLine(
      line, sheets[line.synthetic ? 0 : 1], Math.max(1, count(line.synthetic)),
    )))
    letGo(made)
    letGo(real)
    table.dataset.ready = model.ready
    if (model.stamp) requestAnimationFrame(() => { table.dataset.painted = model.stamp })
  }
  drawOnChange(model, ["sheet", "real_sheet", "columns", "lines", "heading", "stamp"], draw)
  model.on("remove", () => {
    for (const holder of [made, real]) {
      sheetAddress(holder, null)
      letGo(holder)
    }
  })
  draw()
  return table
}
