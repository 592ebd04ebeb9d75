// Figures in groups, one table each; every column sorts, in all groups at once.

const SHOWN = 12
const COLUMNS = ["Model", "Features", "Clusterer", "k", "Value"]

export function render({model}) {
  const root = element("section", "score-list")
  let by = null
  let falling = true
  const open = new Set()

  const sorted = (rows) => {
    if (by === null) return rows
    const sign = falling ? -1 : 1
    const value = (row) => row.sort[by]
    return [...rows].sort((a, b) => {
      if (value(a) === null || value(b) === null) return (value(a) === null) - (value(b) === null)
      return value(a) < value(b) ? -sign : value(a) > value(b) ? sign : 0
    })
  }

  const headings = (group) => {
    const line = element("tr", "")
    COLUMNS.forEach((name, place) => {
      const cell = element("th", place > 2 ? "number" : "")
      cell.scope = "col"
      cell.setAttribute("aria-sort", by !== place ? "none" : falling ? "descending" : "ascending")
      const button = element("button", "", name)
      button.append(element("span", "sort-sign", by !== place ? "" : falling ? " ▾" : " ▴"))
      button.addEventListener("click", () => {
        falling = by === place ? !falling : place > 2
        by = place
        draw()
      })
      cell.append(button)
      line.append(cell)
    })
    const axis = element("td", "score-axis")
    axis.append(element("span", "", group.axis[0]), element("span", "", group.axis[1]))
    line.append(element("th", "number", "95 % interval"), axis)
    return line
  }

  const makeRow = (row) => {
    const line = element("tr", row.recommended ? "recommended" : "")
    line.title = row.words
    row.cells.forEach((text, place) => {
      const cell = element(place ? "td" : "th", place > 2 ? "number" : "", text)
      if (!place) cell.scope = "row"
      if (place === 4) cell.classList.add("value")
      line.append(cell)
    })
    if (row.recommended) line.firstChild.append(element("span", "side-mark", "recommended"))
    const marks = element("td", "score-marks")
    marks.innerHTML = row.marks // numbers only: made by intervals.py
    line.append(element("td", "number score-note", row.interval), marks)
    return line
  }

  const makeGroup = (group, place) => {
    const box = element("section", "score-group")
    const name = `${group.question} ${group.figure}`
    const rows = sorted(group.rows)
    const shown = open.has(name) ? rows : rows.slice(0, SHOWN)
    const title = element("h3", "", group.figure)
    title.append(element("span", "score-note", group.note))
    const meaning = group.explanation ? [element("p", "score-note", group.explanation)] : []
    if (place === 0 || model.groups[place - 1].question !== group.question) {
      box.append(element("h2", "", group.question))
    }
    const table = element("table", "scores")
    const head = element("thead", "")
    head.append(headings(group))
    const body = element("tbody", "")
    body.append(...shown.map(makeRow))
    table.append(head, body)
    const scroll = element("div", "scores-scroll")
    scroll.append(table)
    box.append(title, ...meaning, scroll)
    if (rows.length > SHOWN) {
      const words = open.has(name) ? `Show the first ${SHOWN}` : `Show all ${rows.length}`
      const more = element("button", "plain-button", words)
      more.addEventListener("click", () => {
        open.has(name) ? open.delete(name) : open.add(name)
        draw()
      })
      box.append(more)
    }
    return box
  }

  const draw = () => {
    root.replaceChildren(...model.groups.map(makeGroup))
    root.dataset.rows = model.groups.reduce((sum, group) => sum + group.rows.length, 0)
  }

  drawOnChange(model, ["groups"], draw)
  draw()
  return root
}
