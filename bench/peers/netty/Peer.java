import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.ChannelMatchers;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler.HandshakeComplete;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.InetSocketAddress;

/**
 * Netty: a boss and a worker group, one shared buffer written to a ChannelGroup. /sub gets what a path that begins with /pub
 * sends, /echo gets its own back.
 *
 * What arrived together is written message by message and flushed once, which is what channelReadComplete is for.
 */
public final class Peer {
    /** As many connections as the comparison opens at once. */
    private static final int BACKLOG = 4096;

    private static final ChannelGroup SUBSCRIBERS = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);

    private Peer() {}

    public static void main(String[] arguments) throws InterruptedException {
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        ServerBootstrap server = new ServerBootstrap()
            .group(new NioEventLoopGroup(1), new NioEventLoopGroup(1))
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(new Pipeline());
        Channel channel = server.bind("127.0.0.1", port).sync().channel();
        System.out.println("ready " + ((InetSocketAddress) channel.localAddress()).getPort());
        channel.closeFuture().sync();
    }

    private static final class Pipeline extends ChannelInitializer<Channel> {
        @Override
        protected void initChannel(Channel channel) {
            channel.pipeline().addLast(
                new HttpServerCodec(),
                new HttpObjectAggregator(8192),
                // Any path that begins with this one; no compression.
                new WebSocketServerProtocolHandler("/", null, false, 1 << 20, false, true),
                new Session());
        }
    }

    private static final class Session extends SimpleChannelInboundHandler<WebSocketFrame> {
        private enum Role { SUBSCRIBER, PUBLISHER, ECHO }

        private Role role = Role.SUBSCRIBER;

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
            if (event instanceof HandshakeComplete) {
                String path = ((HandshakeComplete) event).requestUri();
                role = path.startsWith("/pub") ? Role.PUBLISHER : path.startsWith("/echo") ? Role.ECHO : Role.SUBSCRIBER;
                if (role == Role.SUBSCRIBER) {
                    SUBSCRIBERS.add(context.channel());
                }
            }
            super.userEventTriggered(context, event);
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            switch (role) {
                case PUBLISHER:
                    // Copied once into a direct buffer of its own length, then shared by all.
                    TextWebSocketFrame message = new TextWebSocketFrame(
                        context.alloc().directBuffer(frame.content().readableBytes()).writeBytes(frame.content()));
                    SUBSCRIBERS.write(message, ChannelMatchers.all(), true);
                    break;
                case ECHO:
                    context.write(frame.retain());
                    break;
                default:
                    break;
            }
        }

        @Override
        public void channelReadComplete(ChannelHandlerContext context) {
            if (role == Role.PUBLISHER) {
                SUBSCRIBERS.flush();
            } else {
                context.flush();
            }
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }
    }
}
