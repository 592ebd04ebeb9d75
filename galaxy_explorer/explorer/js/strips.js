// The same galaxies in rows of pictures: original, reconstructions, residuals, with a figure below.

export function render({model}) {
  const sheet = {}
  const table = element("table", "strips")
  const caption = element("caption", "")
  table.append(caption)

  const cell = (row, line, place, address) => {
    const data = element("td", "")
    if (line.pictures) {
      const button = element("button", "strip-tile")
      button.setAttribute("aria-label", `${line.words} of ${row.words}`)
      button.title = row.words
      button.addEventListener("click", () => model.send_msg({focus: row.row}))
      showTile(button, address, line.first + place, model.sheet_columns, model.sheet_rows)
      data.append(button)
    }
    const figure = line.figures[place]
    if (figure)
      data.append(element("div", `strip-figure ${line.best[place] ? "best" : ""}`, figure))
    return data
  }

  const draw = async () => {
    const address = sheetAddress(sheet, model.sheet, model.sheet_format)
    await decoded(address)
    if (address !== sheet.address) return
    const body = element("tbody", "")
    const top = element("tr", "")
    top.append(element("td", ""))
    for (const row of model.galaxies) {
      const head = element("th", "strip-name", row.name)
      head.scope = "col"
      head.append(element("div", "strip-type", row.type))
      top.append(head)
    }
    body.append(top)
    for (const line of model.lines) {
      const tr = element("tr", "")
      const head = element("th", "strip-line", line.label)
      head.scope = "row"
      if (line.note) head.append(element("div", "strip-note", line.note))
      tr.append(head, ...model.galaxies.map((row, place) => cell(row, line, place, address)))
      body.append(tr)
    }
    table.querySelector("tbody")?.remove()
    table.append(body)
    caption.textContent = model.heading
    letGo(sheet)
    table.dataset.galaxies = model.galaxies.length
    tellPainted(table, model)
  }

  drawOnChange(model, ["sheet", "galaxies", "lines", "heading", "stamp"], draw)
  draw()
  return table
}
