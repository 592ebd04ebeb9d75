// The same galaxies in rows of pictures: original, reconstructions, residuals, with a figure below.

function stripOf(line, galaxies) {
  const tiles = galaxies.map((galaxy, place) => ({
    id: galaxy.row,
    words: `${line.words} of ${galaxy.words}`,
    place: line.first + place,
    foot: line.figures[place] ? [[line.figures[place], line.best[place]]] : null,
  }))
  return {title: line.label, notes: line.note ? [line.note] : [], tiles}
}

export function render({model}) {
  const look = () => ({
    sheet_columns: model.sheet_columns,
    sheet_rows: model.sheet_rows,
    columns: model.galaxies.map(({name, type}) => ({name, note: type})),
    rows: model.lines.map((line) => stripOf(line, model.galaxies)),
    heading: model.heading,
    label: "Galaxies side by side",
  })
  const root = tileSheet(model, ["galaxies", "lines"], look, ({tile}) =>
    model.send_msg({focus: tile}),
  )
  root.classList.add("strips")
  return root
}
