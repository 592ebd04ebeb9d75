// Figures in groups, one table each; every column sorts, in all groups at once.

const SHOWN = 12
const COLUMNS = ["Model", "Features", "Clusterer", "k", "Value"]

function makeHeadings(group, sorting, sortBy) {
  const line = element("tr", "")
  COLUMNS.forEach((name, place) => {
    const cell = sortHeading(name, place, sorting, () => sortBy(place))
    if (place > 2) cell.className = "number"
    line.append(cell)
  })
  const axis = element("td", "score-axis")
  axis.append(element("span", "", group.axis[0]), element("span", "", group.axis[1]))
  line.append(element("th", "number", "95 % interval"), axis)
  return line
}

function makeRow(row) {
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
  marks.innerHTML = row.marks // escaped: made by the template of intervals
  line.append(element("td", "number score-note", row.interval), marks)
  return line
}

function makeTable(headings, rows) {
  const table = element("table", "scores")
  const head = element("thead", "")
  head.append(headings)
  const body = element("tbody", "")
  body.append(...rows.map(makeRow))
  table.append(head, body)
  const scroll = element("div", "scores-scroll")
  scroll.append(table)
  return scroll
}

export function render({model}) {
  const root = element("section", "score-list")
  const sorting = {by: null, falling: true}
  const open = new Set()

  const sortBy = (place) => {
    sorting.falling = sorting.by === place ? !sorting.falling : place > 2
    sorting.by = place
    draw()
  }

  const makeMore = (name, count) => {
    const words = open.has(name) ? `Show the first ${SHOWN}` : `Show all ${count}`
    const more = element("button", "plain-button", words)
    more.addEventListener("click", () => {
      if (!open.delete(name)) open.add(name)
      draw()
    })
    return more
  }

  const makeGroup = (group, place) => {
    const box = element("section", "score-group")
    const name = `${group.question} ${group.figure}`
    const rows = inOrder(group.rows, sorting, (row, by) => row.sort[by])
    const shown = open.has(name) ? rows : rows.slice(0, SHOWN)
    const title = element("h3", "", group.figure)
    title.append(element("span", "score-note", group.note))
    const meaning = group.explanation ? [element("p", "score-note", group.explanation)] : []
    if (place === 0 || model.groups[place - 1].question !== group.question) {
      box.append(element("h2", "", group.question))
    }
    box.append(title, ...meaning, makeTable(makeHeadings(group, sorting, sortBy), shown))
    if (rows.length > SHOWN) box.append(makeMore(name, rows.length))
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
