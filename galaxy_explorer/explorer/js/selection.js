// What is selected: how many, what can be done with them, and histograms whose bars select.

function barRow(model, group, upright) {
  const list = element("div", upright ? "bars upright" : "bars flat", "", {role: "group"})
  list.setAttribute("aria-label", group.title)
  const top = Math.max(1, ...group.bars.map((bar) => bar.of))
  for (const bar of group.bars) {
    const button = element("button", "bar", "", {"aria-pressed": String(bar.chosen)})
    button.setAttribute("aria-label", bar.words)
    button.title = `${bar.words}. Click selects, Shift adds.`
    button.disabled = !bar.of
    button.style.setProperty("--colour", bar.colour)
    button.style.setProperty("--of", bar.of / top)
    button.style.setProperty("--count", bar.count / top)
    button.append(
      element("span", "bar-count", bar.count ? bar.count.toLocaleString("en") : ""),
      element("span", "bar-fill"),
      element("span", "bar-name", bar.name),
    )
    button.addEventListener("click", (event) => {
      model.send_msg({group: group.key, bar: bar.key, add: event.shiftKey})
    })
    list.append(button)
  }
  return list
}

export function render({model}) {
  const root = element("section", "chosen", "", {"aria-label": "Selection"})
  const words = element("div", "chosen-words", "", {"aria-live": "polite"})
  const tools = element("div", "chosen-tools")
  const figures = element("div", "chosen-figures")
  root.append(words, tools, figures)

  const draw = () => {
    words.replaceChildren(element("b", "", model.count), element("span", "", model.label))
    actionButtons(model, tools)
    const focused = figures.getRootNode().activeElement?.getAttribute("aria-label")
    figures.replaceChildren(
      ...model.groups.map((group) => {
        const figure = element("figure", "chosen-figure")
        const caption = element("figcaption", "", group.title)
        caption.append(element("span", "", group.note))
        figure.append(caption, barRow(model, group, group.key === "types"))
        if (group.ends) {
          const ends = element("div", "bar-ends")
          ends.append(...group.ends.map((end) => element("span", "", end)))
          figure.append(ends)
        }
        return figure
      }),
    )
    const again = [...figures.querySelectorAll("button")]
    again.find((one) => focused && one.ariaLabel.split(":")[0] === focused.split(":")[0])?.focus()
    root.dataset.count = model.count
  }
  drawOnChange(model, ["count", "label", "actions", "groups"], draw)
  draw()
  return root
}
