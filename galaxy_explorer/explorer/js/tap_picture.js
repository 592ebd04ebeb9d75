// A click on a picture selects its galaxy. Arguments: cell_source, source.
const picked = cell_source.selected.indices
if (picked.length > 0) {
  const rows = picked.map((index) => cell_source.data.row[index])
  cell_source.selected.setv({indices: []}, {sync: false})
  source.selected.indices = rows
}
