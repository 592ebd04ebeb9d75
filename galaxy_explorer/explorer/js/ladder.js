// Hubble types from left to right: lines of real galaxies above, of synthetic ones below.

function headLine(model) {
  const line = element("tr")
  const corner = element("th", "", "Hubble type T", {scope: "col"})
  line.append(
    corner,
    ...model.columns.map(({words, colour}) => {
      const cell = element("th", "ladder-type", words, {scope: "col"})
      cell.style.setProperty("--chip", colour)
      return cell
    }),
  )
  return line
}

function syntheticTile(words, line) {
  const tile = element("div", "picture ladder-tile")
  tile.setAttribute("aria-label", `Synthetic galaxy of type ${words}, ${line.note}`)
  tile.setAttribute("role", "img")
  tile.classList.add("synthetic")
  tile.append(element("span", "synthetic-mark", "SYNTHETIC"))
  return tile
}

function realTile(model, words, place) {
  const name = model.real_names[place]
  const tile = element("button", "picture ladder-tile")
  tile.setAttribute("aria-label", `Real galaxy of type ${words}: ${name || "none"}`)
  tile.title = name || ""
  tile.disabled = !name
  tile.addEventListener("click", () => model.send_msg({real: place}))
  return tile
}

function bodyLine(model, line, sheet, lines) {
  const row = element("tr")
  const label = element("th", "", line.label, {scope: "row"})
  label.append(element("div", "row-notes", line.note))
  row.append(
    label,
    ...model.columns.map(({words}, column) => {
      const cell = element("td")
      const place = line.first + column
      const shown = !line.synthetic || place < model.ready
      const tile = line.synthetic ? syntheticTile(words, line) : realTile(model, words, place)
      tile.classList.toggle("blank", !shown)
      if (shown) showTile(tile, sheet, place, model.columns.length, lines)
      cell.append(tile)
      return cell
    }),
  )
  return row
}

export function render({model}) {
  const table = element("table", "ladder")
  const caption = element("caption")
  const head = element("thead")
  const body = element("tbody")
  table.append(caption, head, body)

  const draw = (...sheets) => {
    const count = (synthetic) => model.lines.filter((one) => one.synthetic === synthetic).length
    caption.textContent = model.heading
    head.replaceChildren(headLine(model))
    body.replaceChildren(
      ...model.lines.map((line) =>
        bodyLine(model, line, sheets[line.synthetic ? 0 : 1], Math.max(1, count(line.synthetic))),
      ),
    )
    table.dataset.ready = model.ready
  }
  const names = ["columns", "lines", "heading", "stamp"]
  drawPictures(model, table, ["sheet", "real_sheet"], names, draw)
  return table
}
