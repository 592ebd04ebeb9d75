// A table that sorts by any of its columns; a heading's explanation shows when pointed at.

export function render({model}) {
  const root = element("div", "scores-scroll")
  const table = element("table", "scores")
  const head = element("thead", "")
  const body = element("tbody", "")
  table.append(head, body)
  root.append(table)
  let by = null
  let falling = true

  const sorted = () => {
    if (by === null) return model.rows
    const sign = falling ? -1 : 1
    const value = (row) => row.cells[by].sort
    return [...model.rows].sort((a, b) => {
      if (value(a) === null || value(b) === null) return (value(a) === null) - (value(b) === null)
      return value(a) < value(b) ? -sign : value(a) > value(b) ? sign : 0
    })
  }

  const draw = () => {
    const line = element("tr", "")
    model.columns.forEach((column, place) => {
      const cell = element("th", place ? "number" : "")
      cell.scope = "col"
      cell.setAttribute("aria-sort", by !== place ? "none" : falling ? "descending" : "ascending")
      const button = element("button", "", column.name)
      button.title = column.explanation
      button.append(element("span", "sort-sign", by !== place ? "" : falling ? " ▾" : " ▴"))
      button.addEventListener("click", () => {
        falling = by === place ? !falling : place > 0 && !column.small
        by = place
        draw()
        head.querySelectorAll("button")[place].focus()
      })
      cell.append(button)
      line.append(cell)
    })
    head.replaceChildren(line)
    body.replaceChildren(...sorted().map((row) => {
      const tr = element("tr", row.side)
      row.cells.forEach((content, place) => {
        const cell = element(place ? "td" : "th", place ? "number" : "", content.text)
        if (!place) {
          cell.scope = "row"
          if (row.side) cell.append(element("span", "side-mark", row.side))
        }
        if (content.best) cell.classList.add("best")
        if (content.note) cell.append(element("div", "score-note", content.note))
        tr.append(cell)
      })
      return tr
    }))
    table.dataset.rows = model.rows.length
  }

  drawOnChange(model, ["rows", "columns"], draw)
  draw()
  return root
}
