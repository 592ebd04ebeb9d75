// A table that sorts by any of its columns; a heading's explanation shows when pointed at.

function makeScore(row, content, place) {
  const cell = element(place ? "td" : "th", place ? "number" : "", content.text)
  if (!place) cell.scope = "row"
  if (!place && row.side) cell.append(element("span", "side-mark", row.side))
  if (content.best) cell.classList.add("best")
  if (content.note) cell.append(element("div", "score-note", content.note))
  return cell
}

export function render({model}) {
  const root = element("div", "scores-scroll")
  const table = element("table", "scores")
  const head = element("thead", "")
  const body = element("tbody", "")
  table.append(head, body)
  root.append(table)
  const sorting = {by: null, falling: true}

  const sortBy = (place) => {
    const column = model.columns[place]
    sorting.falling = sorting.by === place ? !sorting.falling : place > 0 && !column.small
    sorting.by = place
    draw()
    head.querySelectorAll("button")[place].focus()
  }

  const draw = () => {
    const line = element("tr", "")
    model.columns.forEach((column, place) => {
      const cell = sortHeading(column.name, place, sorting, () => sortBy(place))
      if (place) cell.className = "number"
      cell.firstChild.title = column.explanation
      line.append(cell)
    })
    head.replaceChildren(line)
    const rows = inOrder(model.rows, sorting, (row, by) => row.cells[by].sort)
    body.replaceChildren(
      ...rows.map((row) => {
        const tr = element("tr", row.side)
        tr.append(...row.cells.map((content, place) => makeScore(row, content, place)))
        return tr
      }),
    )
    table.dataset.rows = model.rows.length
  }

  drawOnChange(model, ["rows", "columns"], draw)
  draw()
  return root
}
