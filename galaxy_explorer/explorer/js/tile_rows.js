// A sheet of tiles as the server describes it: `TileSheet`.

export function render({model}) {
  const names = ["columns", "rows", "label", "framed", "tile_width", "row_width"]
  return tileSheet(
    model,
    names,
    () => model,
    (message) => model.send_msg(message),
    {tile: "chosen", row: "chosen_rows"},
  )
}
