// One galaxy, large: its kinds of picture by a switch or in turns, and what can be done with it.
const BLINK_MS = 700

export function render({model}) {
  const root = element("article", "galaxy")
  const head = element("div", "galaxy-head")
  const name = element("h3", "galaxy-name")
  const pager = element("div", "galaxy-pager")
  const place = element("span", "galaxy-place")
  const turn = (sign, words, by) => {
    const button = element("button", "gallery-turn", sign)
    button.title = button.ariaLabel = words
    button.addEventListener("click", () => model.send_msg({walk: by}))
    return button
  }
  pager.append(turn("‹", "Galaxy before (←)", -1), place, turn("›", "Next galaxy (→)", 1))
  head.append(name, pager)
  const line = element("p", "galaxy-line")
  const frame = element("figure", "galaxy-frame")
  const image = element("img", "galaxy-picture")
  const caption = element("figcaption", "")
  frame.append(image, caption)
  const kinds = element("div", "galaxy-kinds")
  kinds.setAttribute("role", "group")
  kinds.setAttribute("aria-label", "Picture")
  const tools = element("div", "chosen-tools")
  root.append(head, line, frame, kinds, tools)

  let kind = ""
  let timer
  let told = {}
  const show = (wanted) => {
    kind = wanted
    const found = model.kinds.find(([key]) => key === kind) ?? model.kinds[0]
    const [key, title, words, address] = found ?? ["", "", "", ""]
    const row = told.row ?? -1
    const source = row < 0 ? "" : address.replace("@row", row)
    if (source && image.getAttribute("src") !== source) image.src = source
    image.alt = `${title} of ${told.name ?? "a galaxy"}`
    caption.textContent = words
    for (const button of kinds.children) {
      const on = button.dataset.kind === "blink" ? Boolean(timer) : button.dataset.kind === key
      button.setAttribute("aria-pressed", String(on))
    }
  }
  const still = () => {
    clearInterval(timer)
    timer = undefined
  }
  const blink = () => {
    if (timer) still()
    else {
      timer = setInterval(() => {
        const keys = model.kinds.map(([key]) => key).slice(0, 2)
        show(keys[(keys.indexOf(kind) + 1) % keys.length])
      }, BLINK_MS)
    }
    show(kind || model.kinds[0]?.[0])
  }
  image.addEventListener("error", () => {
    caption.textContent = "There is no such picture of this galaxy"
  })
  image.addEventListener("load", () => {
    root.dataset.row = told.row
    if (image.naturalWidth) for (const ahead of model.kinds) {
      const next = new Image()
      next.src = ahead[3].replace("@row", told.row)
    }
  })

  const drawKinds = () => {
    const entries = model.kinds.map(([key, title]) => [key, title])
    if (entries.length > 1) entries.push(["blink", "Blink"])
    kinds.replaceChildren(
      ...entries.map(([key, title]) => {
        const button = element("button", "galaxy-kind", title)
        button.dataset.kind = key
        button.addEventListener("click", () => {
          if (key === "blink") return blink()
          still()
          show(key)
          model.send_msg({kind: key})
        })
        return button
      }),
    )
    if (!model.kinds.some(([key]) => key === kind)) kind = model.first
    show(kind)
  }
  const draw = () => {
    told = model.galaxy
    name.textContent = told.name ?? ""
    line.textContent = told.line ?? ""
    place.textContent = told.place ?? ""
    show(kind || model.first)
  }
  const drawTools = () => {
    tools.replaceChildren(
      ...model.actions.map(([key, title]) => {
        const button = element("button", "plain-button", title)
        button.addEventListener("click", () => model.send_msg({do: key}))
        return button
      }),
    )
  }
  model.on("galaxy", draw)
  model.on("kinds", drawKinds)
  model.on("actions", drawTools)
  model.on("first", () => show(model.first))
  model.on("remove", still)
  told = model.galaxy
  kind = model.first
  drawTools()
  drawKinds()
  draw()
  return root
}
