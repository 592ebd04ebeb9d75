// One galaxy, large: its kinds of picture by a switch or in turns, and what can be done with it.
const BLINK_MS = 700

function galaxyHead(model) {
  const head = element("div", "galaxy-head")
  const name = element("h3", "galaxy-name")
  const pager = element("div", "galaxy-pager")
  const place = element("span", "galaxy-place")
  const turn = (sign, words, walk) => {
    const button = element("button", "gallery-turn", sign)
    button.title = button.ariaLabel = words
    button.addEventListener("click", () => model.send_msg({walk}))
    return button
  }
  pager.append(turn("‹", "Galaxy before (←)", -1), place, turn("›", "Next galaxy (→)", 1))
  head.append(name, pager)
  return [head, name, place]
}

// The kinds as buttons; `choose` is called with the key of one, or with "blink".
function kindButtons(model, box, choose) {
  const entries = model.kinds.map(([key, title]) => [key, title])
  if (entries.length > 1) entries.push(["blink", "Blink"])
  box.hidden = entries.length === 1
  box.replaceChildren(
    ...entries.map(([key, title]) => {
      const button = element("button", "galaxy-kind", title)
      button.dataset.kind = key
      button.addEventListener("click", () => choose(key))
      return button
    }),
  )
}

// The large picture: `show(kind)`; the other kinds are fetched too, so that they are there to blink.
function largePicture(model, root) {
  const frame = element("figure", "galaxy-frame")
  const image = element("img", "picture")
  const caption = element("figcaption", "")
  frame.append(image, caption)
  image.addEventListener("error", () => {
    caption.textContent = "There is no such picture of this galaxy"
  })
  image.addEventListener("load", () => {
    root.dataset.row = model.galaxy.row
    for (const [, , , address] of model.kinds) {
      new Image().src = address.replace("@row", model.galaxy.row)
    }
  })
  const show = (kind) => {
    const [, title, words, address] = kind
    const {row, name} = model.galaxy
    const source = row === undefined ? "" : address.replace("@row", row)
    if (source && image.getAttribute("src") !== source) image.src = source
    image.alt = `${title} of ${name ?? "a galaxy"}`
    caption.textContent = words
  }
  return [frame, show]
}

export function render({model}) {
  const root = element("article", "galaxy")
  const [head, name, place] = galaxyHead(model)
  const line = element("p", "galaxy-line")
  const [frame, showPicture] = largePicture(model, root)
  const kinds = element("div", "galaxy-kinds", "", {role: "group", "aria-label": "Picture"})
  const tools = element("div", "chosen-tools")
  root.append(head, line, frame, kinds, tools)

  let kind = model.first
  let timer
  const show = () => {
    const found = model.kinds.find(([key]) => key === kind) ?? model.kinds[0]
    if (found) showPicture(found)
    for (const button of kinds.children) {
      const blinks = button.dataset.kind === "blink"
      button.setAttribute("aria-pressed", String(blinks ? !!timer : button.dataset.kind === kind))
    }
  }
  const still = () => {
    clearInterval(timer)
    timer = undefined
  }
  const blink = () => {
    const [first, second] = model.kinds.map(([key]) => key)
    kind = kind === first ? second : first
    show()
  }
  const choose = (key) => {
    const start = key === "blink" && !timer
    still()
    if (start) timer = setInterval(blink, BLINK_MS)
    if (key !== "blink") kind = key
    show()
    if (key !== "blink") model.send_msg({kind: key})
  }
  const draw = () => {
    const told = model.galaxy
    name.textContent = told.name ?? ""
    line.textContent = told.line ?? ""
    place.textContent = told.place ?? ""
    show()
  }
  const dress = () => {
    kindButtons(model, kinds, choose)
    actionButtons(model, tools)
    if (!model.kinds.some(([key]) => key === kind)) kind = model.first
    draw()
  }
  model.on("first", () => {
    if (!timer) kind = model.first
    show()
  })
  drawOnChange(model, ["galaxy"], draw)
  drawOnChange(model, ["kinds", "actions"], dress)
  model.on("remove", still)
  dress()
  return root
}
