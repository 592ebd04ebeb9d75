// Buttons that ask for a file and hand it to the browser when it comes.

export function render({model}) {
  const root = element("div", "downloads")
  const words = element("span", "downloads-words", model.label)
  root.setAttribute("role", "group")
  root.setAttribute("aria-label", model.label)
  const buttons = model.kinds.map(([kind, title]) => {
    const button = element("button", "plain-button", title)
    button.setAttribute("aria-label", `${model.label} ${title}`)
    button.addEventListener("click", () => {
      for (const other of buttons) other.disabled = true
      button.classList.add("busy")
      model.send_msg({kind})
    })
    return button
  })
  root.append(words, ...buttons)

  model.on("stamp", () => {
    for (const button of buttons) {
      button.disabled = false
      button.classList.remove("busy")
    }
    if (!model.data) return
    const link = element("a", "")
    link.href = URL.createObjectURL(new Blob([model.data], {type: model.media_type}))
    link.download = model.file_name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60000)
  })
  return root
}
