// The application's own script: it knows nothing of the gateway.
const time = document.getElementById("time");
const state = document.getElementById("state");
const heard = document.getElementById("heard");
const words = document.getElementById("words");

const address = new URL("ws", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(address);

socket.onopen = () => { state.textContent = "connected"; };
socket.onclose = ({ code, reason }) => {
  time.textContent = "–";
  state.textContent = reason ? `closed, because ${reason} (code ${code})` : `closed (code ${code})`;
};
socket.onmessage = ({ data }) => {
  const [kind] = data.split(" ", 1);
  const rest = data.slice(kind.length + 1);
  if (kind === "time") {
    time.textContent = rest;
    return;
  }
  const line = document.createElement("li");
  line.textContent = kind === "hello" ? `Hello, ${rest}` : rest;
  heard.append(line);
};

document.getElementById("say").onsubmit = (event) => {
  event.preventDefault();
  if (words.value && socket.readyState === WebSocket.OPEN) socket.send(words.value);
  words.value = "";
};
